//! Where `IN (SELECT …)` may stand. In: a SELECT as parsed; out: why not, where the query engine would not tell unknown from false.
//!
//! Alone among conditions joined by AND it becomes a join that knows NULL. Under OR the engine marks rows, and a mark is true or false:
//! where only true counts that is the same, under NOT and in CASE, COALESCE or IS NULL it is not. Pure.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, Query, Select, Visit, Visitor,
};

use super::guard::compared;

const WHY: &str =
    "over a query, IN is only read within AND and OR, and NOT IN within AND alone; elsewhere use EXISTS or NOT EXISTS";

/// How an expression is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One of conditions that must all hold.
    All,
    /// Below an OR: only whether it is true counts.
    Some,
}

/// # Errors
/// Why the statement may not run.
pub fn check(select: &Select) -> Result<(), &'static str> {
    let joins = select.from.iter().flat_map(|from| &from.joins).filter_map(|join| on(&join.join_operator));
    let conditions = select.selection.iter().chain(&select.having).chain(&select.qualify).chain(joins);
    let mut rest: Vec<(&Expr, Place)> = conditions.map(|expr| (expr, Place::All)).collect();
    while let Some((expr, place)) = rest.pop() {
        match expr {
            Expr::Nested(inner) => rest.push((inner, place)),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => rest.extend([(&**left, place), (right, place)]),
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                rest.extend([(&**left, Place::Some), (right, Place::Some)]);
            }
            Expr::InSubquery { expr: left, negated: false, .. } => nowhere(left)?,
            Expr::InSubquery { expr: left, .. } if place == Place::All => of_column(left)?,
            Expr::AnyOp { left, .. } if compared(expr).is_some() => nowhere(left)?,
            Expr::AllOp { left, .. } if compared(expr).is_some() && place == Place::All => of_column(left)?,
            other => nowhere(other)?,
        }
    }
    Ok(())
}

fn on(operator: &JoinOperator) -> Option<&Expr> {
    match operator {
        JoinOperator::Join(JoinConstraint::On(expr))
        | JoinOperator::Inner(JoinConstraint::On(expr))
        | JoinOperator::Left(JoinConstraint::On(expr))
        | JoinOperator::LeftOuter(JoinConstraint::On(expr))
        | JoinOperator::Right(JoinConstraint::On(expr))
        | JoinOperator::RightOuter(JoinConstraint::On(expr))
        | JoinOperator::FullOuter(JoinConstraint::On(expr)) => Some(expr),
        _ => None,
    }
}

/// The left side of NOT IN. Without a column no join is made of it, and NULL is forgotten.
fn of_column(left: &Expr) -> Result<(), &'static str> {
    nowhere(left)?;
    if has(left, |expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))) {
        return Ok(());
    }
    Err("NOT IN over a query is only read of a column; of a value that is the same for all rows use NOT EXISTS")
}

fn nowhere(expr: &Expr) -> Result<(), &'static str> {
    let looks_up = |expr: &Expr| matches!(expr, Expr::InSubquery { .. }) || compared(expr).is_some();
    if has(expr, looks_up) { Err(WHY) } else { Ok(()) }
}

/// Whether such a part is there, not within another query.
fn has(expr: &Expr, is_wanted: impl Fn(&Expr) -> bool) -> bool {
    expr.visit(&mut Find { depth: 0, is_wanted }).is_break()
}

struct Find<W> {
    depth: usize,
    is_wanted: W,
}

impl<W: Fn(&Expr) -> bool> Visitor for Find<W> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0 && (self.is_wanted)(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
