//! The SQL that is understood. In comes nothing, out come switches of the parser: DataFusion's usual dialect without what only
//! other databases know, and without second guesses. Pure.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// As the generic dialect reads SELECT; what a statement only changes something with is left out.
#[derive(Debug)]
pub struct ReadDialect;

macro_rules! supports {
    ($($feature:ident),* $(,)?) => {
        $(fn $feature(&self) -> bool { true })*
    };
}

impl Dialect for ReadDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    /// Where CASE, CAST and their like fail, the parser would try their words again as names, which doubles its time with
    /// every form around the fault: forty of them would keep it busy for years. Quote such a name instead.
    fn is_reserved_for_identifier(&self, _: Keyword) -> bool {
        true
    }

    /// `a IS DISTINCT FROM b AND c`: the parser would take all of `b AND c` for the right side.
    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let all = |parser: &Parser<'_>, words: &[Keyword]| {
            let is = |(place, word): (usize, &Keyword)| matches!(&parser.peek_nth_token_ref(place).token, Token::Word(found) if found.keyword == *word);
            words.iter().enumerate().all(is)
        };
        let (skipped, is_distinct) = match () {
            () if all(parser, &[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) => (3, true),
            () if all(parser, &[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) => (4, false),
            () => return None,
        };
        // Nobody writes such a chain; copying what is to the left again and again would keep the parser busy.
        if is_led_by_distinct(left) {
            let why = "IS DISTINCT FROM after another one: put the first in parentheses";
            return Some(Err(ParserError::ParserError(why.to_owned())));
        }
        for _ in 0..skipped {
            parser.advance_token();
        }
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| {
            let (left, right) = (Box::new(left.clone()), Box::new(right));
            if is_distinct { Expr::IsDistinctFrom(left, right) } else { Expr::IsNotDistinctFrom(left, right) }
        }))
    }

    supports!(
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_array_typedef_with_brackets,
        supports_bitwise_shift_operators,
        supports_comma_separated_trim,
        supports_explain_with_utility_options,
        supports_extract_comma_syntax,
        supports_filter_during_aggregation,
        supports_from_first_select,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_interval_options,
        supports_left_associative_joins_without_parens,
        supports_named_fn_args_with_assignment_operator,
        supports_nested_comments,
        supports_parens_around_table_factor,
        supports_projection_trailing_commas,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_select_wildcard_replace,
        supports_string_escape_constant,
        supports_struct_literal,
        supports_try_convert,
        supports_unicode_string_literal,
        supports_values_as_table_factor,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
        support_map_literal_syntax,
    );
}

fn is_led_by_distinct(mut expr: &Expr) -> bool {
    loop {
        expr = match expr {
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => return true,
            Expr::BinaryOp { left, .. } => left,
            Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner) => inner,
            Expr::Cast { expr, .. }
            | Expr::Between { expr, .. }
            | Expr::InList { expr, .. }
            | Expr::Like { expr, .. }
            | Expr::ILike { expr, .. } => expr,
            _ => return false,
        }
    }
}
