//! The rules of pricing on a small book: dates, tiers, schedules, regions, meters, overrides, rates, and what has no price.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop loudly and say where")]

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::money::Amount;
use spendstream_schemas::note::{CostQuality, Note};
use spendstream_schemas::price_book::{BookFiles, Plan, PriceBook, Priced, Question, Unpriced, Usage};

const HEADER: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,schedule,source,source_ref\n";
const PRICES: &str = "\
p,m,input,2,1000000,USD,,,,,,,s,
p,m,output,8,1000000,USD,,,,,,,s,
p,m,cache_read,0.2,1000000,USD,,,,,,,s,
p,m,cache_write,2.5,1000000,USD,,,,,,,s,
p,m,input,4,1000000,USD,,,200000,,,,s,
p,m,output,12,1000000,USD,,,200000,,,,s,
p,m,input,1,1000000,USD,,,,batch,,,s,
p,m,output,4,1000000,USD,,,,batch,,,s,
p,m,input,2.2,1000000,USD,,,,,eu,,s,
p,big,input,2,1000000,USD,,,,,,,s,
p,big,input,4,1000000,USD,,,200000,,,,s,
p,big,output,8,1000000,USD,,,,,,,s,
p,big,output,12,1000000,USD,,,200000,,,,s,
p,big,input,1,1000000,USD,,,,batch,,,s,
p,big,output,4,1000000,USD,,,,batch,,,s,
p,big,cache_read,0.2,1000000,USD,,,,,,,s,
p,big,input,5,1000000,USD,,,,priority,,,s,
p,big,cache_read,0.5,1000000,USD,,,,priority,,,s,
p,m,audio_in,40,1000000,USD,,,,,,,s,
p,m,cache_read_audio,0.3,1000000,USD,,,,,,,s,
p,m,web_search,10,1000,USD,,,,,,,s,
p,m,audio_second,0.36,3600,USD,,,,,,,s,
p,dated,input,1,1000000,USD,2026-01-01,2026-07-01T16:00:00Z,,,,,s,
p,dated,input,0.5,1000000,USD,2026-07-01T16:00:00Z,,,,,,s,
p,night,input,1,1000000,USD,,,,,,,s,
p,night,input,0.25,1000000,USD,,,,,,16:30-00:30 mon-fri,s,
p,shift,input,1,1000000,USD,,,,,,,s,
p,shift,input,3,1000000,USD,,,,,,01:00-04:00,s,
p,shift,output,10,1000000,USD,,,,,,,s,
p,shift,output,20,1000000,USD,,,,,,01:00-04:00 06:00-10:00,s,
p,fee,request,5,1000,USD,,,,,,,s,
p,fee,input,1,1000000,USD,,,,,,,s,
p,free,input,0,1000000,USD,,,,,,,s,
p,free,output,0,1000000,USD,,,,,,,s,
p,yen,input,150,1000000,JPY,,,,,,,s,
p,image,image_out,30,1000000,USD,,,,,,,s,
p,sound,input,2,1000000,USD,,,,,,,s,
p,sound,output,8,1000000,USD,,,,,,,s,
p,draw,input,2,1000000,USD,,,,,,,s,
p,draw,output,8,1000000,USD,,,,,,,s,
p,draw,image_out,8,1000000,USD,,,,,,,s,
p,draw,reasoning,0.008,1000,USD,,,,,,,s,
p,draw,output,4,1000000,USD,,,,batch,,,s,
p,huge,input,9999999999999,1,USD,,,,,,,s,
p,*,file_search,2.5,1000,USD,,,,,,,s,
";
const RATES: &str = "date,currency,rate\n2026-01-01,JPY,150\n2026-01-01,EUR,0.9\n2026-06-01,EUR,0.8\n";
const OVERRIDES: &str = r#"
[[override]]
id = "all-of-acme"
organization = "acme"
discount_percent = "12.5"

[[override]]
id = "acme-input"
organization = "acme"
provider = "P"
model = "m*"
effective_from = "2026-06-01"
[[override.price]]
meter = "input"
price = "1.6"

[[override]]
id = "every-tier"
organization = "every"
service_tier = "*"
[[override.price]]
meter = "input"
price = "1.6"

[[override]]
id = "euro"
organization = "euro"
[[override.price]]
meter = "input"
price = "1.8"
currency = "EUR"
"#;
const CATALOG: &str = "date = \"2026-11-22\"\nfree_meters = [\"web_fetch\"]\n[service_tiers]\nstandard = [\"default\"]\n[provider.p]\naliases = [\"pp\"]\n[provider.q]\ninherits = [\"p\"]\n[[priced_alike]]\nproviders = [\"p\"]\nmodels = [\"m\"]\nmeters = [\"image_in\"]\n";

fn book(currency: &str) -> PriceBook {
    let prices = format!("{HEADER}{PRICES}");
    let files = BookFiles {
        prices: &prices,
        catalog: CATALOG,
        aliases: "provider,alias,model\np,em,m\n",
        rates: RATES,
        overrides: OVERRIDES,
        currency,
    };
    PriceBook::load(&files).unwrap()
}

/// One call of the tests: everything has a default, so that a test names what it is about.
#[derive(Clone, Copy)]
struct Call<'a> {
    model: &'a str,
    at: &'a str,
    tier: Option<&'a str>,
    region: Option<&'a str>,
    organization: Option<&'a str>,
    counts: &'a [(Count, i64)],
    quantities: &'a [(&'a str, &'a str)],
    committed: bool,
    cache_hit: bool,
    currency: &'a str,
}

const CALL: Call<'static> = Call {
    model: "m",
    at: "2026-05-01T12:00:00Z",
    tier: None,
    region: None,
    organization: None,
    counts: &[],
    quantities: &[],
    committed: false,
    cache_hit: false,
    currency: "USD",
};

impl Call<'_> {
    fn plan(&self) -> Result<Plan, Unpriced> {
        let (service_tier, region, organization) = (self.tier, self.region, self.organization);
        let question = Question {
            provider: Some("p"),
            model: Some(self.model),
            service_tier,
            region,
            organization,
            ..Question::default()
        };
        book(self.currency).resolve(&question)
    }

    fn price<T>(&self, look: impl Fn(&Priced<'_>) -> T) -> Result<T, String> {
        let plan = self.plan().map_err(|error| error.reason().into_owned())?;
        let mut counts = Counts::default();
        for (count, value) in self.counts {
            counts.set(*count, *value);
        }
        let cached: i64 =
            [Count::CacheRead, Count::CacheWrite, Count::CacheWrite1h].map(|count| counts.get(count)).iter().sum();
        counts.set(Count::UncachedInput, counts.get(Count::Input) - cached);
        let quantities: Vec<_> = self
            .quantities
            .iter()
            .map(|(name, amount)| (Cow::from(*name), amount.parse::<Decimal>().unwrap()))
            .collect();
        let usage =
            Usage { counts: &counts, quantities: &quantities, committed: self.committed, cache_hit: self.cache_hit };
        let at = chrono::DateTime::parse_from_rfc3339(self.at).unwrap().timestamp_micros();
        plan.price(at, &usage).map(|priced| look(&priced)).map_err(|error| error.reason().into_owned())
    }

    fn cost(&self) -> Result<String, String> {
        self.price(|priced| {
            let parts = [
                priced.input_cost,
                priced.output_cost,
                priced.cache_read_cost,
                priced.cache_write_cost,
                priced.other_cost,
            ];
            assert_eq!(parts.into_iter().sum::<Amount>(), priced.cost, "cost is the sum of its parts");
            priced.cost.to_string()
        })
    }
}

fn check(call: Call<'_>, expected: &str) {
    assert_eq!(call.cost().as_deref(), Ok(expected), "{:?} {:?} at {}", call.counts, call.quantities, call.at);
}

fn unpriced(call: Call<'_>, expected: &str) {
    assert_eq!(call.cost(), Err(expected.to_owned()), "{:?} {:?} at {}", call.counts, call.quantities, call.at);
}

const MILLION: &[(Count, i64)] = &[(Count::Input, 1_000_000)];
const THOUSAND: &[(Count, i64)] = &[(Count::Input, 1000)];

#[test]
fn the_price_in_force_at_the_event_time_is_used() {
    let at = |at| Call { model: "dated", at, counts: MILLION, ..CALL };
    unpriced(at("2025-12-31T23:59:59.999999Z"), "no_price_at_time");
    check(at("2026-01-01T00:00:00Z"), "1");
    check(at("2026-07-01T15:59:59.999999Z"), "1");
    check(at("2026-07-01T16:00:00Z"), "0.5");
    check(at("2099-01-01T00:00:00Z"), "0.5");
}

#[test]
fn a_context_tier_is_a_cliff_over_all_prompt_tokens() {
    let call = |counts| Call { counts, ..CALL };
    check(call(&[(Count::Input, 200_000), (Count::Output, 10)]), "0.40008");
    check(call(&[(Count::Input, 200_001), (Count::Output, 10)]), "0.800124");
    // Cached tokens count towards the tier; their own price has no tier and stays.
    check(call(&[(Count::Input, 200_001), (Count::CacheRead, 200_000)]), "0.040004");
}

#[test]
fn schedules_hold_in_their_windows_only() {
    let at = |at| Call { model: "night", at, counts: MILLION, ..CALL };
    check(at("2026-11-20T16:29:59Z"), "1");
    check(at("2026-11-20T16:30:00Z"), "0.25");
    check(at("2026-11-21T00:29:59Z"), "0.25");
    check(at("2026-11-21T00:30:00Z"), "1");
    check(at("2026-11-21T17:00:00Z"), "1");
}

#[test]
fn each_meter_keeps_to_its_own_windows() {
    let counts = &[(Count::Input, 1_000_000), (Count::Output, 1_000_000)];
    let at = |at| Call { model: "shift", at, counts, ..CALL };
    check(at("2026-11-20T02:00:00Z"), "23");
    check(at("2026-11-20T05:00:00Z"), "11");
    check(at("2026-11-20T07:00:00Z"), "21");
}

#[test]
fn a_tier_falls_back_to_standard_meter_by_meter_and_says_so() {
    let batch = |counts| Call { tier: Some("batch"), counts, ..CALL };
    check(batch(&[(Count::Input, 1000), (Count::Output, 100)]), "0.0014");
    let cached = batch(&[(Count::Input, 1000), (Count::CacheRead, 1000)]);
    check(cached, "0.0002");
    assert_eq!(
        cached.price(|priced| (priced.notes.contains(Note::TierAssumed), priced.quality)),
        Ok((true, CostQuality::Estimated))
    );
}

#[test]
fn a_region_without_price_takes_the_default_and_says_so() {
    let region = |region| Call { region, counts: MILLION, at: "2026-05-01T12:00:00Z", ..CALL };
    check(Call { counts: THOUSAND, ..region(Some("EU")) }, "0.0022");
    check(Call { counts: THOUSAND, ..region(Some("mars")) }, "0.002");
    for (sent, assumed) in [(Some("eu"), false), (Some("mars"), true), (None, true)] {
        assert_eq!(region(sent).plan().unwrap().notes.contains(Note::RegionAssumed), assumed, "{sent:?}");
    }
    let nowhere = Call { model: "dated", ..region(Some("mars")) }.plan().unwrap();
    assert!(!nowhere.notes.contains(Note::RegionAssumed), "a model without regional prices has nothing to assume");
    assert_eq!(nowhere.region.as_deref(), Some("mars"));
}

#[test]
fn a_tier_or_region_without_a_price_for_large_prompts_pays_the_dearer_and_says_so() {
    let seen = |model, tier, region, counts: &[(Count, i64)]| {
        let call = Call { model, tier, region, counts, ..CALL };
        call.price(|p| (p.cost.to_string(), p.notes.contains(Note::TierAssumed), p.quality)).unwrap()
    };
    let said = |cost: &str, quality| (cost.to_owned(), true, quality);
    let large = &[(Count::Input, 1_000_000), (Count::Output, 1000)][..];
    // Batch is cheaper than standard for small prompts, so standard's 4 and 12 for large ones are the most it can be.
    assert_eq!(seen("big", Some("batch"), None, large), said("4.012", CostQuality::UpperBound));
    assert_eq!(
        seen("big", Some("batch"), None, &[(Count::Input, 200_000)]),
        ("0.2".to_owned(), false, CostQuality::Exact)
    );
    // eu is dearer (2.2) than the default (2): what it takes for large prompts is more than the default's 4, or not.
    assert_eq!(seen("m", None, Some("eu"), &[(Count::Input, 1_000_000)]), said("4", CostQuality::Estimated));
    // Priority's only price is above the default's for large prompts already: it is not made cheaper, nor scaled.
    assert_eq!(seen("big", Some("priority"), None, &[(Count::Input, 1_000_000)]), said("5", CostQuality::Estimated));
    // A meter without a large step anywhere has nothing to assume.
    let cached = [(Count::Input, 300_000), (Count::CacheRead, 300_000)];
    assert_eq!(seen("big", Some("priority"), None, &cached), ("0.15".to_owned(), false, CostQuality::Exact));
}

#[test]
fn every_token_is_paid_once() {
    use Count::{AudioInput, CacheRead, CacheWrite, CacheWrite1h, ImageInput, Input, Output, Reasoning};
    let call = |counts| Call { counts, ..CALL };
    check(call(&[(Input, 1000), (CacheRead, 400), (Output, 100), (Reasoning, 90)]), "0.00208");
    // 100 of 1000 tokens are audio, 40 of those were read from the cache, together with 60 of text.
    let audio = Call {
        quantities: &[("cache_read_audio", "40")],
        ..call(&[(Input, 1000), (CacheRead, 100), (AudioInput, 100)])
    };
    check(audio, "0.004104"); // 840×2 + 60×40 + 60×0.2 + 40×0.3
    assert_eq!(
        audio.price(|p| (p.input_cost.to_string(), p.cache_read_cost.to_string())),
        Ok(("0.00408".to_owned(), "0.000024".to_owned()))
    );
    // Pictures have no price of their own here and cost what text does, because the catalogue says so.
    let picture = call(&[(Input, 1000), (ImageInput, 500)]);
    check(picture, "0.002");
    assert_eq!(picture.price(|priced| priced.notes.contains(Note::MeterFallback)), Ok(false));
    // One-hour writes have no price of their own here: as a write, with a note.
    let write = call(&[(Input, 1000), (CacheWrite, 600), (CacheWrite1h, 400)]);
    check(write, "0.0025");
    assert_eq!(
        write.price(|priced| (priced.notes.contains(Note::MeterFallback), priced.quality)),
        Ok((true, CostQuality::Estimated))
    );
    unpriced(call(&[(Input, 10), (AudioInput, 11)]), "inconsistent_counts");
    unpriced(call(&[(Output, 10), (Reasoning, 11)]), "inconsistent_counts");
}

#[test]
fn sound_and_pictures_without_a_price_are_unpriced_unless_the_catalogue_says_that_they_cost_what_text_does() {
    use Count::{AudioInput, AudioOutput, ImageInput, Input, Output};
    let call = |counts| Call { model: "sound", counts, ..CALL };
    check(call(&[(Input, 1000), (Output, 100)]), "0.0028");
    unpriced(call(&[(Input, 1000), (AudioInput, 1)]), "no_price_for_meter:audio_in");
    unpriced(call(&[(Output, 1000), (AudioOutput, 1)]), "no_price_for_meter:audio_out");
    unpriced(call(&[(Input, 1000), (ImageInput, 1)]), "no_price_for_meter:image_in");
    unpriced(Call { quantities: &[("image_out", "1")], ..call(&[(Output, 1000)]) }, "no_price_for_meter:image_out");
    let picture = Call { model: "m", ..call(&[(Input, 1000), (ImageInput, 1000)]) };
    check(picture, "0.002");
    assert_eq!(picture.price(|priced| priced.notes.contains(Note::MeterFallback)), Ok(false));
    let errors = PriceBook::load(&BookFiles {
        catalog: "[[priced_alike]]\nproviders = [\"p\"]\nmodels = [\"*\"]\nmeters = [\"image_in\", \"reasoning\"]\n",
        currency: "USD",
        ..BookFiles::default()
    })
    .unwrap_err()
    .0;
    assert_eq!(
        errors,
        ["catalog.toml: priced_alike: meter 'reasoning' is not one of audio_in, audio_out, image_in, image_out"]
    );
}

#[test]
fn a_meter_without_the_tier_takes_its_parents_price_of_it_where_both_are_one_price_in_standard() {
    use Count::{Input, Output, Reasoning};
    let seen = |model, counts, quantities| {
        let call = Call { model, counts, quantities, tier: Some("batch"), ..CALL };
        call.price(|priced| (priced.cost.to_string(), priced.quality)).unwrap()
    };
    let exact = |cost: &str| (cost.to_owned(), CostQuality::Exact);
    assert_eq!(seen("draw", &[(Output, 1000)], &[]), exact("0.004"));
    assert_eq!(seen("draw", &[(Output, 1000)], &[("image_out", "1000")]), exact("0.004"));
    assert_eq!(seen("draw", &[(Output, 1000), (Reasoning, 1000)], &[]), exact("0.004"));
    // A meter that costs something else than its parent in standard keeps that price, marked.
    assert_eq!(
        seen("big", &[(Input, 1000), (Count::CacheRead, 1000)], &[]),
        ("0.0002".to_owned(), CostQuality::Estimated)
    );
}

#[test]
fn cache_savings_are_what_reading_saved_minus_what_writing_cost_extra() {
    use Count::{CacheRead, CacheWrite, Input};
    let savings = |counts| Call { counts, ..CALL }.price(|priced| priced.cache_savings.to_string()).unwrap();
    assert_eq!(savings(&[(Input, 1000), (CacheRead, 1000)]), "0.0018");
    assert_eq!(savings(&[(Input, 1000), (CacheWrite, 1000)]), "-0.0005");
    assert_eq!(savings(&[(Input, 1000)]), "0");
}

#[test]
fn meters_beside_tokens_are_paid_by_their_own_unit() {
    let quantities = |quantities| Call { quantities, ..CALL };
    check(quantities(&[("audio_second", "90")]), "0.009");
    check(quantities(&[("seconds", "0.5")]), "0.00005");
    check(quantities(&[("audio_second", "0.000000001")]), "0.0000000000001");
    check(Call { counts: &[(Count::WebSearches, 3)], ..CALL }, "0.03");
    check(quantities(&[("web_fetch", "7")]), "0");
    check(Call { model: "dated", ..quantities(&[("file_searches", "2")]) }, "0.005"); // a price for every model
    unpriced(quantities(&[("document_page", "1")]), "no_price_for_meter:document_page");
    unpriced(Call { model: "dated", counts: &[(Count::WebSearches, 1)], ..CALL }, "no_price_for_meter:web_search");
    unpriced(Call { model: "dated", counts: &[(Count::Output, 1)], ..CALL }, "no_price_for_meter:output");
    check(
        Call { model: "image", counts: &[(Count::Output, 100)], quantities: &[("image_out", "100")], ..CALL },
        "0.003",
    );
    unpriced(
        Call { model: "image", counts: &[(Count::Output, 101)], quantities: &[("image_out", "100")], ..CALL },
        "no_price_for_meter:output",
    );
}

#[test]
fn a_fee_per_request_is_paid_once_per_call_that_used_something() {
    let fee = |counts, quantities| Call { model: "fee", counts, quantities, ..CALL };
    check(fee(THOUSAND, &[]), "0.006");
    check(fee(THOUSAND, &[("requests", "3")]), "0.016");
    check(fee(&[], &[]), "0");
    // Where no price is by the call, calls are a count beside others, and no reason to have no price.
    for name in ["request", "requests"] {
        check(Call { counts: THOUSAND, quantities: &[(name, "3")], ..CALL }, "0.002");
        check(Call { quantities: &[(name, "1"), ("seconds", "0.5")], ..CALL }, "0.00005");
        unpriced(Call { quantities: &[(name, "1")], ..CALL }, &format!("no_price_for_meter:{name}"));
    }
}

#[test]
fn free_is_free_and_says_nothing() {
    let call = Call { model: "free", counts: &[(Count::Input, 10), (Count::Output, 5)], ..CALL };
    check(call, "0");
    assert_eq!(
        call.price(|priced| (priced.notes.is_empty(), priced.price_id.to_owned())),
        Ok((true, "p/free".to_owned()))
    );
}

#[test]
fn committed_capacity_costs_nothing_and_is_listed() {
    let call = Call { committed: true, counts: THOUSAND, ..CALL };
    assert_eq!(
        call.price(|p| (p.cost.to_string(), p.list_cost.to_string(), p.category)),
        Ok(("0".to_owned(), "0.002".to_owned(), "committed"))
    );
}

#[test]
fn an_answer_from_the_apps_own_cache_costs_nothing_and_saves_the_price() {
    let call = Call { cache_hit: true, counts: THOUSAND, ..CALL };
    let seen =
        call.price(|p| (p.cost.to_string(), p.cache_savings.to_string(), p.notes.contains(Note::ResponseCacheHit)));
    assert_eq!(seen, Ok(("0".to_owned(), "0.002".to_owned(), true)));
}

#[test]
fn an_override_replaces_then_the_discount_multiplies_and_the_list_price_stays() {
    let acme = |at, counts| Call { organization: Some("acme"), at, counts, ..CALL };
    let both =
        |call: Call<'_>| call.price(|p| (p.cost.to_string(), p.list_cost.to_string(), p.price_id.to_owned())).unwrap();
    let (before, after) = ("2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z");
    assert_eq!(
        both(acme(before, THOUSAND)),
        ("0.00175".to_owned(), "0.002".to_owned(), "p/m;override=all-of-acme".to_owned())
    );
    assert_eq!(
        both(acme(after, THOUSAND)),
        ("0.0014".to_owned(), "0.002".to_owned(), "p/m;from=2026-06-01;override=all-of-acme+acme-input".to_owned())
    );
    assert_eq!(both(acme(after, &[(Count::Output, 1000)])).0, "0.007");
    assert_eq!(both(Call { organization: Some("other"), ..acme(after, THOUSAND) }).0, "0.002");
}

#[test]
fn a_price_agreed_for_no_tier_is_that_of_the_standard_tier_and_a_discount_is_for_all() {
    let call = |organization, tier| Call {
        organization: Some(organization),
        tier,
        at: "2026-06-01T00:00:00Z",
        counts: THOUSAND,
        ..CALL
    };
    check(call("acme", None), "0.0014");
    check(call("acme", Some("default")), "0.0014");
    check(call("acme", Some("batch")), "0.000875");
    // Nobody sells it: it is priced as standard.
    check(call("acme", Some("flex")), "0.0014");
    check(call("every", None), "0.0016");
    check(call("every", Some("batch")), "0.0016");
}

#[test]
fn an_override_in_another_currency_is_converted_and_prices_only_what_was_agreed() {
    let euro = Call { organization: Some("euro"), counts: THOUSAND, ..CALL };
    let seen = euro
        .price(|p| (p.cost.to_string(), p.list_cost.to_string(), p.price_currency.to_owned(), p.fx_rate.to_string()));
    assert_eq!(seen, Ok(["0.002", "0.002", "EUR", "1.111111111111"].map(str::to_owned).into()));
    // A thousand times as much shows that the rate on the row is the rate that was used.
    check(Call { counts: MILLION, ..euro }, "1.9999999999998");
    unpriced(Call { counts: &[(Count::Output, 1)], ..euro }, "no_price_for_meter:output");
}

#[test]
fn amounts_are_in_the_lakes_currency_by_the_rate_of_the_day() {
    let yen = |at, currency| Call { model: "yen", counts: MILLION, at, currency, ..CALL };
    check(yen("2026-05-01T12:00:00Z", "JPY"), "150");
    let rate = |call: Call<'_>| call.price(|p| (p.cost.to_string(), p.fx_rate.to_string())).unwrap();
    assert_eq!(rate(yen("2026-05-31T23:59:59Z", "EUR")), ("0.9".to_owned(), "0.006".to_owned()));
    assert_eq!(rate(yen("2026-06-01T00:00:00Z", "EUR")), ("0.79999999995".to_owned(), "0.005333333333".to_owned()));
    unpriced(yen("2025-12-31T23:59:59Z", "EUR"), "no_exchange_rate");
    let micros = 1_780_000_000_000_000; // 2026-05-28
    let converted = book("USD").convert("9".parse().unwrap(), "EUR", micros).unwrap();
    assert_eq!(converted.to_string(), "10");
    for (dollars, euros) in
        [("10", "9"), ("1000000", "900000"), ("0.000000000000001", "0.000000000000001"), ("-2", "-1.8")]
    {
        let dollars = Amount::from_decimal(dollars.parse().unwrap()).unwrap();
        assert_eq!(book("USD").convert_back(dollars, "EUR", micros).unwrap().to_string(), euros);
    }
    assert_eq!(book("USD").convert(Decimal::ONE, "CHF", micros), None);
}

#[test]
fn what_does_not_fit_is_refused_loudly() {
    check(Call { model: "huge", counts: &[(Count::Input, 1)], ..CALL }, "9999999999999");
    unpriced(Call { model: "huge", counts: &[(Count::Input, 2)], ..CALL }, "amount_too_large");
    unpriced(Call { model: "huge", counts: &[(Count::Input, i64::MAX)], ..CALL }, "amount_too_large");
    check(Call { counts: &[(Count::Input, 2_000_000_000_000_000_000)], ..CALL }, "8000000000000");
}

#[test]
fn models_are_found_by_alias_and_by_the_provider_that_shares_prices() {
    let book = book("USD");
    let ask = |provider, model| {
        book.resolve(&Question { provider: Some(provider), model: Some(model), ..Question::default() })
    };
    assert_eq!(ask("PP", "EM").unwrap().model_id, "m");
    let shared = ask("q", "m").unwrap();
    assert_eq!((shared.provider_id.as_str(), shared.model_id.as_str()), ("q", "m"));
    assert_eq!(ask("q", "nothing").unwrap_err().word(), "unknown_model");
}

#[test]
fn every_bad_line_is_named() {
    let prices = format!(
        "{HEADER}{}",
        "\
p,m,input,2,1000000,USD,,,,,,,s,
p,m,input,3,1000000,USD,2026-01-01,,,,,,s,
p,m,tokens,2,1000000,USD,,,,,,,s,
p,m,output,0.18000000000000002,1000000,USD,,,,,,,s,
p,m,output,-1,1000000,USD,,,,,,,s,
p,m,output,1e-6,1,USD,,,,,,,s,
p,m,output,1,60,USD,,,,,,,s,
p,m,output,1,1,dollars,,,,,,,s,
p,m,output,1,1,USD,2026-02-30,,,,,,s,
p,m,output,1,1,USD,2026-02-01,2026-02-01,,,,,s,
p,m,output,1,1,USD,,,0,,,,s,
p,m,output,1,1,USD,,,,,,nightly,s,
p,m,output,1,1,USD
p,,output,1,1,USD,,,,,,,s,
p,m,cache_read,1,1,EUR,,,,,,,s,
p,n,input,1,1,USD,,,,,,01:00-04:00,s,
p,n,input,2,1,USD,,,,,,00:00-24:00 sat,s,
"
    );
    let files = BookFiles {
        prices: &prices,
        aliases: "provider,alias,model\np,x,y\n",
        currency: "usd",
        ..BookFiles::default()
    };
    let errors = PriceBook::load(&files).unwrap_err().0;
    for expected in [
        "prices.csv:3: p/m has a second price of 'input' for the same time as line 2",
        "prices.csv:4: meter 'tokens' is not in the vocabulary",
        "prices.csv:5: price '0.18000000000000002' carries the noise of a binary float",
        "prices.csv:6: price '-1' is negative",
        "prices.csv:7: price '1e-6' is not a decimal",
        "prices.csv:8: per '60' is not one of",
        "prices.csv:9: currency 'dollars'",
        "prices.csv:10: effective_from '2026-02-30'",
        "prices.csv:11: effective_until 2026-02-01 is not after",
        "prices.csv:12: tier_min_tokens '0'",
        "prices.csv:13: schedule 'nightly'",
        "prices.csv:14: 6 fields, expected 14",
        "prices.csv:15: model is empty",
        "prices.csv:16: p/m is in EUR here and in USD in line 2",
        "prices.csv:18: p/n has another price of 'input' in '00:00-24:00 sat' than in '01:00-04:00' of line 17, and both hold at once",
        "aliases.csv:2: p/y has no price",
        "lake.currency: currency 'usd'",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected} is not in\n{}", errors.join("\n"));
    }
    assert_eq!(errors.len(), 17, "{}", errors.join("\n"));
}
