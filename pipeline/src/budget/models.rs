//! Which model may stand in for another and costs less. In: the configured lists, the call's counts, prices; out: a model and what it
//! saves. Pure: prices are asked from whoever has them.

use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;
use spendstream_schemas::config::LadderConfig;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::Plan;

/// How far to go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The next cheaper one, of the same provider where there is one.
    Cheaper,
    /// The cheapest of all that may stand in.
    Cheapest,
}

/// What models are compared by where the tokens are not known: three of input to one of output.
pub fn usual_call() -> Counts {
    let mut counts = Counts::default();
    for (count, tokens) in [(Count::Input, 3_000), (Count::UncachedInput, 3_000), (Count::Output, 1_000)] {
        counts.set(count, tokens);
    }
    counts
}

/// A model that costs less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The price book's id.
    pub provider: String,
    /// The price book's id.
    pub model: String,
    /// What the same call costs less; `None` where nobody knows, as of a run that is estimated by its metrics.
    pub savings: Option<Amount>,
}

/// The configured lists, found by the models in them.
#[derive(Clone, Debug, Default)]
pub struct Ladders {
    ladders: Vec<LadderConfig>,
    by_model: HashMap<String, SmallVec<[usize; 2]>>,
}

impl Ladders {
    #[must_use]
    pub fn new(ladders: &[LadderConfig]) -> Self {
        let mut by_model: HashMap<String, SmallVec<[usize; 2]>> = HashMap::new();
        for (at, ladder) in ladders.iter().enumerate() {
            for model in &ladder.models {
                by_model.entry(model.to_lowercase()).or_default().push(at);
            }
        }
        Self { ladders: ladders.to_vec(), by_model }
    }

    /// The model that may stand in for `asked`, whose call would cost `cost`. `price` gives the plan of a provider's model and what
    /// the same call costs by it.
    pub fn suggest(
        &self,
        asked: &Plan,
        cost: Amount,
        task_type: Option<&str>,
        step: Step,
        mut price: impl FnMut(&str, &str) -> Option<(Arc<Plan>, Amount)>,
    ) -> Option<Suggestion> {
        let name = format!("{}/{}", asked.provider_id, asked.model_id).to_lowercase();
        let lists = self.by_model.get(&name)?.iter().map(|at| &self.ladders[*at]);
        let fitting = lists.filter(|ladder| {
            let named = |wanted: &String| task_type.is_some_and(|task| task.eq_ignore_ascii_case(wanted));
            ladder.task_types.is_empty() || ladder.task_types.iter().any(named)
        });
        let cheaper = fitting.flat_map(|ladder| &ladder.models).filter_map(|model| {
            let (provider, model) = model.split_once('/')?;
            let (plan, amount) = price(provider, model)?;
            (amount < cost).then_some((plan, amount))
        });
        let same = |plan: &Plan| plan.provider_id == asked.provider_id;
        let (plan, amount) = match step {
            // Of two that cost the same, the same provider's.
            Step::Cheapest => cheaper.min_by_key(|(plan, amount)| (*amount, !same(plan)))?,
            Step::Cheaper => cheaper.max_by_key(|(plan, amount)| (same(plan), *amount))?,
        };
        Some(Suggestion {
            provider: plan.provider_id.clone(),
            model: plan.model_id.clone(),
            savings: Some(cost - amount),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spendstream_schemas::config::LadderConfig;
    use spendstream_schemas::count::{Count, Counts};
    use spendstream_schemas::price_book::{BookFiles, Plan, PriceBook, Question, Usage};

    use super::{Ladders, Step};

    const PRICES: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,schedule,source,source_ref\n\
        a,big,input,10,1000000,USD,,,,,,,own,\na,mid,input,5,1000000,USD,,,,,,,own,\na,small,input,1,1000000,USD,,,,,,,own,\n\
        b,tiny,input,0.5,1000000,USD,,,,,,,own,\nb,near,input,9,1000000,USD,,,,,,,own,\n";

    fn check(asked: &str, task_type: Option<&str>, step: Step, expected: Option<(&str, &str)>) {
        let book = PriceBook::load(&BookFiles { prices: PRICES, currency: "USD", ..BookFiles::default() }).unwrap();
        let plan = |provider: &str, model: &str| -> Option<Arc<Plan>> {
            let question = Question { provider: Some(provider), model: Some(model), ..Question::default() };
            book.resolve(&question).ok().map(Arc::new)
        };
        let mut counts = Counts::default();
        counts.set(Count::Input, 1_000);
        counts.set(Count::UncachedInput, 1_000);
        let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
        let price = |provider: &str, model: &str| {
            let plan = plan(provider, model)?;
            let cost = plan.price(0, &usage).ok()?.cost;
            Some((plan, cost))
        };
        let list = |models: &[&str], tasks: &[&str]| LadderConfig {
            models: models.iter().map(|text| (*text).to_owned()).collect(),
            task_types: tasks.iter().map(|text| (*text).to_owned()).collect(),
        };
        let ladders = Ladders::new(&[
            list(&["a/big", "a/mid", "a/small", "b/near", "b/gone"], &[]),
            list(&["a/mid", "b/tiny"], &["classification"]),
        ]);
        let (asked, cost) = price("a", asked).unwrap();
        let found = ladders.suggest(&asked, cost, task_type, step, price);
        let found =
            found.map(|found| (format!("{}/{}", found.provider, found.model), found.savings.unwrap().to_string()));
        assert_eq!(found.as_ref().map(|(model, savings)| (model.as_str(), savings.as_str())), expected);
    }

    #[test]
    fn first_the_next_of_the_same_provider_then_the_cheapest() {
        check("big", None, Step::Cheaper, Some(("a/mid", "0.005")));
        check("big", None, Step::Cheapest, Some(("a/small", "0.009")));
        check("mid", None, Step::Cheaper, Some(("a/small", "0.004")));
        check("small", None, Step::Cheaper, None);
    }

    #[test]
    fn a_list_may_be_for_some_tasks_only() {
        check("mid", Some("Classification"), Step::Cheapest, Some(("b/tiny", "0.0045")));
        check("mid", Some("chat"), Step::Cheapest, Some(("a/small", "0.004")));
        check("small", Some("classification"), Step::Cheapest, None);
    }
}
