//! The words of a verdict: the answer that goes out, its reasons, the body to pass on, the row that is written down. In: figures; out:
//! texts with the exact figures. Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use spendstream_schemas::decision::{Answer, BudgetLine, ErrorBody, Refusal, Strategy, Would};
use spendstream_schemas::table::decisions::{Row, TEXTS};

use super::cost::Quote;
use super::decide::{Grade, Judged, Promise, Refused, Verdict, World};
use super::models::Suggestion;
use super::percent;
use super::stops::Stop;
use super::subject::Subject;

/// Said until the control store was read once.
const UNREAD: &str = "budgets and emergency stops are not read yet";

/// What is said about one decision.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a, 'v> {
    pub subject: &'a Subject<'a>,
    pub quote: &'a Quote,
    pub world: &'a World<'a>,
    pub verdict: &'a Verdict<'v>,
    pub suggestion: Option<&'a Suggestion>,
    /// The lake's.
    pub currency: &'a str,
    /// Event time that the totals cover.
    pub as_of: Option<DateTime<Utc>>,
}

/// RFC 3339 in UTC, without digits that are zero.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Telling<'_, '_> {
    pub fn answer(&self) -> Answer {
        let Self { verdict, quote, .. } = self;
        let (violated, near): (Vec<&Judged<'_>>, Vec<&Judged<'_>>) =
            verdict.judged.iter().partition(|one| one.is_violated());
        let warnings = near.into_iter().filter(|one| one.grade > Grade::Fine).map(|one| self.line(one)).collect();
        let body = verdict.refused.as_ref().map(|refused| self.refusal(refused));
        let answer = Answer {
            allow: verdict.is_allowed(),
            strategy: verdict.strategy,
            reasons: self.reasons(),
            violated: violated.into_iter().map(|one| self.line(one)).collect(),
            warnings,
            suggested_model: self.suggestion.map(|found| found.model.clone()),
            suggested_provider: self.suggestion.map(|found| found.provider.clone()),
            savings: self.suggestion.and_then(|found| found.savings).map(|savings| savings.to_string()),
            estimated_cost: quote.amount.to_string(),
            currency: self.currency.to_owned(),
            basis: quote.basis,
            input_basis: quote.input_basis.map(input_basis),
            held: verdict.promise == Promise::Held,
            retry_after_seconds: verdict.retry_after_seconds,
            as_of: self.as_of.map(time),
            status: verdict.refused.as_ref().map(status),
            body,
            would: None,
        };
        if self.world.config.shadow { in_shadow(answer) } else { answer }
    }

    fn line(&self, judged: &Judged<'_>) -> BudgetLine {
        let book = self.world.ground.book;
        let entry = &book.entries()[judged.entry];
        BudgetLine {
            budget_id: entry.budget.id.clone(),
            name: entry.budget.name.clone(),
            scope: entry.resolve(book.keys(entry), &judged.values).to_string(),
            used: judged.standing.used.to_string(),
            held: judged.held.to_string(),
            limit: judged.standing.limit.to_string(),
            percent: percent::text(judged.total, judged.standing.limit),
            hard_limit: entry.budget.hard_limit,
            period_start: time(judged.standing.span.start()),
            period_end: time(judged.standing.span.end()),
        }
    }

    /// The weightiest first: why it is refused, what comes near, what could not be judged.
    fn reasons(&self) -> Vec<String> {
        let verdict = self.verdict;
        let mut reasons: Vec<String> = verdict.refused.iter().map(|refused| self.why(refused)).collect();
        if verdict.spared {
            reasons.push("over a hard limit, but critical calls are not blocked by budgets".to_owned());
        }
        reasons.extend(verdict.downgrade.as_ref().map(|stop| {
            format!("{} asks for a cheaper model until {}: {}", stop_name(stop), time(stop.until), stop.reason)
        }));
        let told = usize::from(matches!(verdict.refused, Some(Refused::OverBudget(_))));
        let near = verdict.judged.iter().skip(told).filter(|one| one.grade > Grade::Fine || one.is_violated());
        reasons.extend(near.map(|one| self.budget(one)));
        reasons.extend(verdict.unknown.iter().map(|(position, why)| {
            let name = &self.world.ground.book.entries()[*position].budget.name;
            let is_recalled = verdict.judged.iter().any(|one| one.entry == *position && one.is_recalled);
            let how = if is_recalled { "was judged by what was known last" } else { "was not looked at" };
            format!("budget '{name}' {how}: {why}")
        }));
        if !self.world.is_set && verdict.refused.is_none() {
            reasons.push(UNREAD.to_owned());
        }
        if let Some(why) = self.quote.unpriced.as_ref().filter(|_| verdict.refused != Some(Refused::Unpriced)) {
            reasons.push(format!("judged with an estimate of 0: {why}"));
        }
        if verdict.strategy == Strategy::DowngradeModel && self.suggestion.is_none() {
            reasons.push("decide.models names no cheaper model that may stand in".to_owned());
        }
        let misspelt = self.subject.request.misspelt.iter();
        reasons.extend(misspelt.map(|(sent, meant)| format!("'{sent}' is not read; did you mean '{meant}'?")));
        if verdict.promise == Promise::NoRoom {
            reasons.push("the estimate is not held: decide.max_holds are".to_owned());
        }
        reasons
    }

    fn why(&self, refused: &Refused) -> String {
        match refused {
            Refused::Stopped(stop) => {
                format!("{} blocks until {}: {}", stop_name(stop), time(stop.until), stop.reason)
            }
            Refused::TooFast(limit) => {
                format!("{} may send {} requests per minute", limit.scope, limit.per_minute)
            }
            Refused::Unpriced => {
                let why = self.quote.unpriced.as_deref().unwrap_or("the model has no price");
                format!("models without a price are refused: {why}")
            }
            Refused::Unread => UNREAD.to_owned(),
            Refused::Unknown(at) => {
                let (position, why) = self.verdict.unknown[*at];
                format!("budget '{}' cannot be judged: {why}", self.world.ground.book.entries()[position].budget.name)
            }
            Refused::OverBudget(at) => self.budget(&self.verdict.judged[*at]),
        }
    }

    /// `budget 'search team' (team=search): 99.5 used + 0.3 held + 0.5 for this call = 100.3 of 100 USD (100.3 %)`.
    fn budget(&self, judged: &Judged<'_>) -> String {
        let book = self.world.ground.book;
        let entry = &book.entries()[judged.entry];
        let scope = entry.resolve(book.keys(entry), &judged.values);
        let left = match judged.left_for_others {
            left if judged.grade == Grade::Over && !left.is_zero() => {
                let then = match self.verdict.retry_after_seconds.filter(|_| self.verdict.promise == Promise::Claimed) {
                    Some(seconds) => format!(
                        "; its room is claimed: asked again with the same id after {seconds} s, it runs if it still fits"
                    ),
                    None if self.subject.hold_id().is_none() && self.fits_alone(judged) => {
                        "; send an id with the call, by which it can claim its room from them".to_owned()
                    }
                    None => String::new(),
                };
                format!("; beside it {left} must be free for what other instances may be granting now{then}")
            }
            _ => String::new(),
        };
        format!(
            "budget '{}' ({scope}): {} used + {} held + {} for this call = {} of {} {} ({} %){left}",
            entry.budget.name,
            judged.standing.used,
            judged.held,
            judged.against.adds,
            judged.total,
            judged.standing.limit,
            self.currency,
            percent::text(judged.total, judged.standing.limit),
        )
    }

    /// Whether it is only the others' room that it lacks.
    fn fits_alone(&self, judged: &Judged<'_>) -> bool {
        let percent = self.world.ground.book.entries()[judged.entry].budget.hard_limit_percent;
        !percent::exceeds(judged.total, judged.standing.limit, percent)
    }

    fn refusal(&self, refused: &Refused) -> Refusal {
        let mut error = ErrorBody {
            kind: kind(refused),
            message: self.why(refused),
            scope: None,
            budget_id: None,
            used: None,
            held: None,
            limit: None,
            estimated_cost: None,
            currency: None,
            reset_at: None,
            retry_after_seconds: self.verdict.retry_after_seconds,
        };
        match refused {
            Refused::Stopped(stop) => {
                (error.scope, error.reset_at) = (Some(stop.scope.to_string()), Some(time(stop.until)));
            }
            Refused::TooFast(limit) => error.scope = Some(limit.scope.clone()),
            Refused::OverBudget(at) => self.add_budget(&self.verdict.judged[*at], &mut error),
            Refused::Unpriced | Refused::Unknown(_) | Refused::Unread => {}
        }
        Refusal { error }
    }

    fn add_budget(&self, judged: &Judged<'_>, error: &mut ErrorBody) {
        let line = self.line(judged);
        error.scope = Some(line.scope);
        error.budget_id = Some(line.budget_id);
        error.used = Some(line.used);
        error.held = Some(line.held);
        error.limit = Some(line.limit);
        error.estimated_cost = Some(self.quote.amount.to_string());
        error.currency = Some(self.currency.to_owned());
        error.reset_at = Some(line.period_end);
    }

    /// The row for the table `decisions`; `sampled` decisions are told by one.
    pub fn row(&self, sampled: i64) -> Row {
        let Self { subject, quote, verdict, .. } = self;
        let book = self.world.ground.book;
        // What a stop decides has nothing to do with a budget.
        let is_stopped = matches!(verdict.refused, Some(Refused::Stopped(_)));
        let tightest = verdict.judged.first().filter(|_| !is_stopped);
        let entry = tightest.map(|one| &book.entries()[one.entry]);
        let text = |text| subject.text(text).map(ToOwned::to_owned);
        Row {
            decided_at: subject.now.timestamp_micros(),
            texts: TEXTS.map(text),
            provider: subject.provider.map(ToOwned::to_owned),
            priority: subject.request.priority,
            allow: verdict.is_allowed(),
            strategy: verdict.strategy,
            shadow: self.world.config.shadow,
            reason: self.reasons().into_iter().next(),
            budget_id: entry.map(|entry| entry.budget.id.clone()),
            budget_scope: tightest
                .zip(entry)
                .map(|(one, entry)| entry.resolve(book.keys(entry), &one.values).to_string()),
            used: tightest.map(|one| one.standing.used),
            held: tightest.map(|one| one.held),
            amount_limit: tightest.map(|one| one.standing.limit),
            estimated_cost: quote.amount,
            basis: quote.basis,
            suggested_model: self.suggestion.map(|found| found.model.clone()),
            savings: self.suggestion.and_then(|found| found.savings),
            retry_after_seconds: verdict.retry_after_seconds,
            sampled,
        }
    }
}

/// Everything is allowed; what had been decided stays visible.
fn in_shadow(answer: Answer) -> Answer {
    let would = Would {
        allow: answer.allow,
        strategy: answer.strategy,
        suggested_model: answer.suggested_model,
        retry_after_seconds: answer.retry_after_seconds,
        body: answer.body,
    };
    Answer {
        allow: true,
        strategy: Strategy::None,
        suggested_model: None,
        suggested_provider: None,
        savings: None,
        retry_after_seconds: None,
        body: None,
        status: None,
        would: Some(Box::new(would)),
        ..answer
    }
}

fn kind(refused: &Refused) -> &'static str {
    match refused {
        Refused::Stopped(_) => "blocked",
        Refused::TooFast(_) => "rate_limit_exceeded",
        Refused::Unpriced => "unpriced_model",
        Refused::Unknown(_) | Refused::Unread => "budget_unknown",
        Refused::OverBudget(_) => "cost_limit_exceeded",
    }
}

fn status(refused: &Refused) -> u16 {
    match refused {
        Refused::Stopped(_) | Refused::Unknown(_) | Refused::Unread => 503,
        Refused::TooFast(_) | Refused::Unpriced | Refused::OverBudget(_) => 429,
    }
}

fn stop_name(stop: &Stop) -> String {
    format!("an emergency stop on {}", stop.scope)
}

fn input_basis(basis: spendstream_schemas::estimate::Basis) -> &'static str {
    use spendstream_schemas::estimate::Basis;
    match basis {
        Basis::Given => "given",
        Basis::Tokenizer => "tokenizer",
        Basis::TokenizerApproximation => "tokenizer_approximation",
        Basis::Characters => "characters",
    }
}
