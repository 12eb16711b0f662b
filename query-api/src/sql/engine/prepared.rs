//! Statements with parameters. In: SQL with `$1`, `$2` and, later, their values; out: which columns and parameters it has, or its rows.
//!
//! Describing plans a statement within the limits of a query and runs nothing. A described statement is planned anew each time it runs, so
//! that it sees the newest version of the lake.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, ParamValues, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::{Answer, Engine};
use crate::error::QueryError;
use crate::pg::catalog::PgCatalog;
use crate::sql::guard;
use crate::sql::handed::narrow;
use crate::sql::stop::Stop;

/// Parameters that one statement may have; the protocol counts them in 16 bits.
const MOST_PARAMETERS: usize = 65_535;

/// On what, and with which values, a statement of a client that speaks PostgreSQL is planned.
#[derive(Clone, Debug)]
pub struct Bound {
    pub catalog: Arc<PgCatalog>,
    pub parameters: Vec<ScalarValue>,
}

impl Bound {
    /// The plan, with its parameters filled in.
    pub(super) async fn plan(
        &self,
        state: &SessionState,
        statement: Statement,
        sql: &str,
    ) -> Result<LogicalPlan, DataFusionError> {
        let plan = state.statement_to_plan(self.catalog.understood(statement, sql)).await?;
        plan.with_param_values(ParamValues::from(self.parameters.clone()))
    }
}

/// What a statement takes and gives.
#[derive(Clone, Debug)]
pub struct Described {
    pub columns: SchemaRef,
    /// In the order of their numbers.
    pub parameters: Vec<DataType>,
}

impl Engine {
    /// As [`Engine::query`], for a client that speaks PostgreSQL.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn query_bound(&self, sql: &str, bound: Bound) -> Result<Answer, QueryError> {
        self.start(sql, None, Some(bound)).await
    }

    /// The columns and parameters of a statement. `given` are the types that the client knows of its parameters; the others follow from where
    /// they stand, or are text.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn describe(
        &self,
        sql: &str,
        catalog: &Arc<PgCatalog>,
        given: Vec<Option<DataType>>,
    ) -> Result<Described, QueryError> {
        let deadline = Instant::now() + self.limits.timeout;
        let (text, max_bytes) = (sql.to_owned(), self.limits.max_statement_bytes);
        self.short(deadline, async move { guard::parse(&text, max_bytes).map(drop) }).await?;
        let permit = self.place(deadline).await?;
        let snapshot = self.newest(deadline).await?;
        let look = Look {
            state: catalog.state(&snapshot)?,
            catalog: Arc::clone(catalog),
            sql: sql.to_owned(),
            given,
            max_bytes,
            memory: self.limits.memory_bytes,
            _permit: permit,
        };
        let (found, described) = oneshot::channel();
        let _query = self.executor.query(
            async move {
                // Nobody waits any more when sending fails.
                let _ = found.send(look.describe().await);
            },
            Stop::default(),
        );
        let described = tokio::time::timeout_at(deadline, described).await.map_err(|_| self.timeout())?;
        described.map_err(|_| QueryError::Internal("the query stopped".into()))?
    }
}

/// What describing owns.
struct Look {
    state: SessionState,
    catalog: Arc<PgCatalog>,
    sql: String,
    given: Vec<Option<DataType>>,
    max_bytes: usize,
    memory: usize,
    _permit: OwnedSemaphorePermit,
}

impl Look {
    async fn describe(self) -> Result<Described, QueryError> {
        let engine = |error| QueryError::from_engine(&error, self.memory);
        let statement = self.catalog.understood(guard::parse(&self.sql, self.max_bytes)?, &self.sql);
        let state = SessionContext::new_with_state(self.state.clone()).state();
        let plan = state.statement_to_plan(statement).await.map_err(engine)?;
        guard::check_plan(&plan)?;
        let parameters = self.parameters(&plan)?;
        let nulls = parameters.iter().map(ScalarValue::try_from).collect::<Result<Vec<_>, _>>().map_err(engine)?;
        let plan = plan.with_param_values(ParamValues::from(nulls)).map_err(engine)?;
        // Types are only those of the rows once they were made to fit each other; an EXPLAIN is planned when it runs.
        let plan = match plan {
            plan @ (LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) => plan,
            plan => state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}).map_err(engine)?,
        };
        Ok(Described { columns: narrow(plan.schema().inner()), parameters })
    }

    /// The type of each parameter up to the last that is there.
    fn parameters(&self, plan: &LogicalPlan) -> Result<Vec<DataType>, QueryError> {
        let found = plan.get_parameter_types().map_err(|error| QueryError::from_engine(&error, self.memory))?;
        let (mut types, limits) = (self.given.clone(), of_limits(plan));
        for (name, inferred) in found {
            let inferred = inferred.or_else(|| limits.contains(&name).then_some(DataType::Int64));
            let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
            let Some(number) = number.filter(|number| (1..=MOST_PARAMETERS).contains(number)) else {
                return Err(QueryError::Sql(format!("'{name}' is no parameter; number them $1, $2, …")));
            };
            if types.len() < number {
                types.resize(number, None);
            }
            if let Some(slot) = types.get_mut(number - 1).filter(|slot| slot.is_none()) {
                *slot = inferred;
            }
        }
        Ok(types.into_iter().map(|found| found.unwrap_or(DataType::Utf8)).collect())
    }
}

/// Parameters that say how many rows: the engine infers no type there.
fn of_limits(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            let numbers = [&limit.skip, &limit.fetch].into_iter().flatten();
            found.extend(numbers.filter_map(|number| match number.as_ref() {
                Expr::Placeholder(placeholder) => Some(placeholder.id.clone()),
                _ => None,
            }));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // The walk itself cannot fail.
    walked.map(|_| found).unwrap_or_default()
}
