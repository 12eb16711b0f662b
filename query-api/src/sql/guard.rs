//! Which statements may run. In comes SQL text or a logical plan, out comes permission or the reason why not.
//!
//! The decision is made on the plan, not on the text: every node is looked at, in subqueries and below EXPLAIN too, and
//! only nodes that read are let through. Pure: no catalog, no IO, nothing is executed.

use std::ops::ControlFlow;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement as PlanStatement};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SetExpr, SetOperator, SetQuantifier, Statement as SqlStatement,
    TableAlias, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::dialect::ReadDialect;
use super::{buckets, lookup};
use crate::error::QueryError;

/// Words, operators and literals of one statement.
const MAX_TOKENS: usize = 100_000;
/// How deep expressions may nest; `a + b + c` nests twice.
const MAX_DEPTH: usize = 2_000;
/// Forms that the parser may read twice; see [`is_guessed`].
const MAX_GUESSED: usize = 8;
/// Digits, and the point, of a number that is written with an exponent; a decimal has a few more.
const MAX_DIGITS: i32 = 60;
/// SELECTs and table references of one statement.
const MAX_RELATIONS: usize = 500;

/// The one statement of `sql`, if it is of a kind that reads.
///
/// # Errors
/// When the text is too long, is not exactly one statement, cannot be parsed, nests too deep, or does not read.
pub fn parse(sql: &str, max_bytes: usize) -> Result<Statement, QueryError> {
    if sql.len() > max_bytes {
        return Err(QueryError::StatementTooLarge { got: sql.len(), limit: max_bytes });
    }
    let tokens = Tokenizer::new(&ReadDialect, sql)
        .tokenize()
        .map_err(|error| QueryError::Sql(format!("syntax error: {error}")))?;
    check_tokens(tokens)?;
    let mut statements =
        DFParser::parse_sql_with_dialect(sql, &ReadDialect).map_err(|error| QueryError::from_engine(&error, 0))?;
    match (statements.pop_front(), statements.len()) {
        (None, _) => Err(QueryError::Shape("there is no statement; send one, such as SELECT 1".into())),
        (Some(statement), 0) => check_statement(&statement).map(|()| read_right(statement)),
        (Some(_), more) => {
            Err(QueryError::Shape(format!("there are {} statements; send them one at a time", more + 1)))
        }
    }
}

/// Bounds what the parser has to do.
fn check_tokens(mut tokens: Vec<Token>) -> Result<(), QueryError> {
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    if tokens.len() > MAX_TOKENS {
        let reason = format!("the statement has {} words and signs, more than {MAX_TOKENS}", tokens.len());
        return Err(QueryError::Shape(reason));
    }
    let guessed = tokens.windows(2).filter(|pair| is_guessed(&pair[0], &pair[1])).count();
    if guessed > MAX_GUESSED {
        return Err(QueryError::Shape(format!(
            "the statement has {guessed} POSITION(…) and INTERVALs without a literal, more than {MAX_GUESSED}; \
             use strpos and quoted intervals (INTERVAL '1 day')"
        )));
    }
    Ok(())
}

/// Two forms that the parser reads twice when they fail, which doubles its time with every one inside another.
fn is_guessed(word: &Token, next: &Token) -> bool {
    let Token::Word(word) = word else { return false };
    match word.keyword {
        Keyword::POSITION => matches!(next, Token::LParen),
        Keyword::INTERVAL => !matches!(next, Token::SingleQuotedString(_) | Token::Number(..)),
        _ => false,
    }
}

fn check_statement(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(statement) => match statement.visit(&mut Shape::default()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => check_statement(&explain.statement),
        Statement::CreateExternalTable(_) => Err(QueryError::Refused("CREATE EXTERNAL TABLE opens files".into())),
        Statement::CopyTo(_) => Err(QueryError::Refused("COPY writes files".into())),
        Statement::Reset(_) => Err(QueryError::Refused("RESET changes settings".into())),
    }
}

/// Writes what the query engine reads wrongly in another way.
///
/// - The queries that a SELECT with HAVING reads from get a name each: without one, a column of theirs in HAVING is taken for the select
///   list's alias that is called the same.
/// - `= ANY (SELECT …)` is `IN`, `<> ALL (SELECT …)` is `NOT IN`: as they are, a column of the outer query is taken for the inner one's that is called
///   the same.
/// - `time_bucket` becomes what the query engine has for it ([`buckets`]).
/// - `1e6` is `1000000.0`: an exponent becomes a decimal of less than no digits after the point, with which nothing can be computed.
fn read_right(mut statement: Statement) -> Statement {
    let inner = match &mut statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => match explain.statement.as_mut() {
            Statement::Statement(inner) => inner,
            _ => return statement,
        },
        _ => return statement,
    };
    let _ = inner.visit(&mut Named::default());
    statement
}

#[derive(Default)]
struct Named(usize);

impl Named {
    fn name(&mut self, table: &mut TableFactor) {
        if let TableFactor::Derived { alias: alias @ None, .. } = table {
            self.0 += 1;
            let name = Ident::new(format!("__from_{}", self.0));
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
    }
}

impl VisitorMut for Named {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(Ok(other)) = buckets::rewritten(expr) {
            *expr = other;
        }
        if let Some(plain) = number(expr).and_then(without_exponent) {
            *expr = Expr::value(Value::Number(plain, false));
        }
        let negated = matches!(expr, Expr::AllOp { .. });
        if let Some(query) = compared(expr) {
            let subquery = Box::new(query.clone());
            let (Expr::AnyOp { left, .. } | Expr::AllOp { left, .. }) = expr else { return ControlFlow::Continue(()) };
            let left = std::mem::replace(left, Box::new(Expr::value(Value::Null)));
            *expr = Expr::InSubquery { expr: left, subquery, negated };
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.having.is_some() {
            for from in &mut select.from {
                self.name(&mut from.relation);
                from.joins.iter_mut().for_each(|join| self.name(&mut join.relation));
            }
        }
        ControlFlow::Continue(())
    }
}

/// A number with an exponent.
fn number(expr: &Expr) -> Option<&str> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Value::Number(text, _) if text.contains(['e', 'E']) => Some(text),
        _ => None,
    }
}

/// The same number with a point instead of an exponent; `None` when it has more digits than a decimal.
fn without_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    if !(-MAX_DIGITS..=MAX_DIGITS).contains(&point)
        || digits.is_empty()
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let plain = match usize::try_from(point) {
        Ok(0) | Err(_) => format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        Ok(point) if point >= digits.len() => format!("{digits}{}.0", "0".repeat(point - digits.len())),
        Ok(point) => format!("{}.{}", &digits[..point], &digits[point..]),
    };
    (plain.len() <= MAX_DIGITS.unsigned_abs() as usize).then_some(plain)
}

/// The query of a comparison that is another way to say `IN` or `NOT IN`.
pub(super) fn compared(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::AnyOp { compare_op: BinaryOperator::Eq, right, .. }
        | Expr::AllOp { compare_op: BinaryOperator::NotEq, right, .. } => match right.as_ref() {
            Expr::Subquery(query) => Some(query),
            _ => None,
        },
        _ => None,
    }
}

/// Walks the parsed statement: refuses what does not read and bounds what planning has to recurse into.
#[derive(Default)]
struct Shape {
    depth: usize,
    relations: usize,
}

impl Shape {
    fn relation(&mut self) -> ControlFlow<QueryError> {
        self.relations += 1;
        if self.relations > MAX_RELATIONS {
            return ControlFlow::Break(QueryError::Shape(format!(
                "the statement has more than {MAX_RELATIONS} SELECTs and table references"
            )));
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Shape {
    type Break = QueryError;

    fn pre_visit_statement(&mut self, statement: &SqlStatement) -> ControlFlow<QueryError> {
        match statement {
            SqlStatement::Query(_)
            | SqlStatement::Explain { .. }
            | SqlStatement::ExplainTable { .. }
            | SqlStatement::ShowVariable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowFunctions { .. }
            | SqlStatement::ShowCreate { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(QueryError::Refused(format!("{} does not read", verb(other)))),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        if let Err(why) = lookup::check(select) {
            return ControlFlow::Break(QueryError::Shape(why.into()));
        }
        self.relation()
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<QueryError> {
        // The query engine would answer with all rows, without a word.
        let sampled =
            "TABLESAMPLE is not known here, all rows would be read; filter instead, such as WHERE random() < 0.1";
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break(QueryError::Shape(sampled.into()))
            }
            _ => self.relation(),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return ControlFlow::Break(QueryError::Shape(format!("an expression nests deeper than {MAX_DEPTH}")));
        }
        if let Some(text) = number(expr)
            && without_exponent(text).is_none()
        {
            let why = format!("{text} has more than {MAX_DIGITS} digits; write CAST('{text}' AS DOUBLE)");
            return ControlFlow::Break(QueryError::Shape(why));
        }
        if let Some(Err(why)) = buckets::rewritten(expr) {
            return ControlFlow::Break(QueryError::Shape(why));
        }
        // The query engine takes a column of the outer query for the inner one's that is called the same.
        let is_query = |right: &Expr| matches!(right, Expr::Subquery(_));
        match expr {
            Expr::SimilarTo { .. } => ControlFlow::Break(QueryError::Shape(
                "SIMILAR TO is not read as the standard has it; use LIKE, or ~ with a regular expression".into(),
            )),
            Expr::BinaryOp { op: BinaryOperator::BitwiseXor, .. } => {
                ControlFlow::Break(QueryError::Shape("^ is no power here; write power(a, b)".into()))
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } if is_query(right) && compared(expr).is_none() => {
                ControlFlow::Break(QueryError::Shape(
                    "ANY and ALL over a query are only read as = ANY and <> ALL; compare with (SELECT min(…) …) or (SELECT max(…) …)".into(),
                ))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        let mut sets = vec![query.body.as_ref()];
        while let Some(set) = sets.pop() {
            let SetExpr::SetOperation { left, op, set_quantifier, right } = set else { continue };
            let is_counted = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            if is_counted && *op != SetOperator::Union {
                return ControlFlow::Break(QueryError::Shape(format!(
                    "{op} ALL does not count how often a row is there; use {op}, or count(*) with GROUP BY"
                )));
            }
            sets.extend([left.as_ref(), right.as_ref()]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<QueryError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// The statement's first word, and the second where the first says too little (`CREATE VIEW`).
fn verb(statement: &SqlStatement) -> String {
    let text = statement.to_string();
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or("the statement").trim_end_matches(';').to_ascii_uppercase();
    match (first.as_str(), words.next()) {
        ("CREATE" | "DROP" | "ALTER" | "START", Some(second)) => format!("{first} {}", second.to_ascii_uppercase()),
        _ => first,
    }
}

/// Lets a plan through when every node of it reads.
///
/// # Errors
/// [`QueryError::Refused`] with what the first other node would do.
pub fn check_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut refusal = None;
    let walked = plan.apply_with_subqueries(|node| {
        refusal = refuse(node);
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (refusal, walked) {
        (Some(reason), _) => Err(QueryError::Refused(reason)),
        (None, Ok(_)) => Ok(()),
        (None, Err(error)) => Err(QueryError::from_engine(&error, 0)),
    }
}

/// What a node would do that is not reading. Exhaustive on purpose: a new kind of node must be judged here first.
fn refuse(node: &LogicalPlan) -> Option<String> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => None,
        LogicalPlan::Dml(dml) => Some(format!("{} writes rows", dml.op.name().to_ascii_uppercase())),
        LogicalPlan::Ddl(ddl) => Some(refuse_ddl(ddl)),
        LogicalPlan::Copy(_) => Some("COPY writes files".into()),
        LogicalPlan::Statement(statement) => Some(refuse_statement(statement)),
        LogicalPlan::Extension(extension) => Some(format!("{} is not known to only read", extension.node.name())),
    }
}

fn refuse_ddl(ddl: &DdlStatement) -> String {
    match ddl {
        DdlStatement::CreateMemoryTable(_) => "CREATE TABLE and SELECT INTO make a table".into(),
        DdlStatement::CreateExternalTable(_) => "CREATE EXTERNAL TABLE opens files".into(),
        other => format!("{} changes the catalog", other.name()),
    }
}

fn refuse_statement(statement: &PlanStatement) -> String {
    let what = match statement {
        PlanStatement::TransactionStart(_) | PlanStatement::TransactionEnd(_) => "there are no transactions here",
        PlanStatement::SetVariable(_) | PlanStatement::ResetVariable(_) => "it changes settings",
        PlanStatement::Prepare(_) | PlanStatement::Execute(_) | PlanStatement::Deallocate(_) => {
            "prepared statements are not kept here"
        }
    };
    format!("{}: {what}", statement.name())
}

#[cfg(test)]
mod tests;
