//! Bills as providers write them, and what a comparison says.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::variance::{Cell, Computed, Reason, compare};
use super::{Format, Meter, read};

const OPENAI: &str = r#"{"object":"page","data":[{"object":"bucket","start_time":1790812800,"end_time":1790899200,"results":[
    {"object":"organization.costs.result","amount":{"value":0.060000000000000005,"currency":"usd"},"line_item":"gpt-4o-2024-08-06, input","project_id":null},
    {"object":"organization.costs.result","amount":{"value":1e-7,"currency":"usd"},"line_item":"gpt-4o-2024-08-06, cached input"},
    {"object":"organization.costs.result","amount":{"value":"0.5","currency":"usd"},"line_item":"web search tool calls"}]}],"has_more":false,"next_page":null}"#;

const ANTHROPIC: &str = r#"{"data":[{"starting_at":"2026-10-01T00:00:00Z","ending_at":"2026-10-02T00:00:00Z","results":[
    {"currency":"USD","amount":"123.78912","description":"Claude Sonnet 4 Usage - Input Tokens","cost_type":"tokens","model":"claude-sonnet-4-20250514","token_type":"uncached_input_tokens"},
    {"currency":"USD","amount":"1","cost_type":"tokens","model":"claude-sonnet-4-20250514","token_type":"cache_creation.ephemeral_5m_input_tokens"},
    {"currency":"USD","amount":"2","cost_type":"web_search","model":null,"token_type":null}]}],"has_more":false}"#;

const PLAIN: &str =
    "date,model,meter,amount,currency\n2026-10-01,gpt-4o,output,12.50,USD\n2026-10-02,gpt-4o,input,-1,usd\n";

const FOCUS: &str = "BilledCost,BillingCurrency,ChargePeriodStart,ChargeCategory,x_Model,ChargeDescription,ConsumedQuantity\n\
    0.0000008,USD,2026-10-01 22:00:00,Usage,gpt-4o,Input tokens,2.000\n";

fn shown(text: &str) -> Vec<String> {
    let (_, currency, lines) = read(text, None).unwrap();
    let show = |line: &super::BillLine| {
        let meter = line.meter.map_or("", Meter::word);
        format!("{} {} {meter} {} {currency}", line.date, line.model.as_deref().unwrap_or("-"), line.amount.normalize())
    };
    lines.iter().map(show).collect()
}

#[test]
fn bills_are_read_exactly() {
    for (text, format, expected) in [
        (
            OPENAI,
            Format::Openai,
            vec![
                "2026-10-01 gpt-4o-2024-08-06 input 0.060000000000000005 USD",
                "2026-10-01 gpt-4o-2024-08-06 cache_read 0.0000001 USD",
                "2026-10-01 web search tool calls other 0.5 USD",
            ],
        ),
        (
            ANTHROPIC,
            Format::Anthropic,
            vec![
                "2026-10-01 claude-sonnet-4-20250514 input 1.2378912 USD",
                "2026-10-01 claude-sonnet-4-20250514 cache_write 0.01 USD",
                "2026-10-01 - other 0.02 USD",
            ],
        ),
        (PLAIN, Format::Plain, vec!["2026-10-01 gpt-4o output 12.5 USD", "2026-10-02 gpt-4o input -1 USD"]),
        (FOCUS, Format::Focus, vec!["2026-10-01 gpt-4o input 0.0000008 USD"]),
    ] {
        assert_eq!(read(text, None).unwrap().0, format);
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn what_is_no_bill_is_told() {
    for (text, why) in [
        ("", "neither BilledCost"),
        ("{}", "say --format"),
        ("date,amount\n2026-10-01,1\n", "no column currency"),
        ("date,amount,currency\n2026-10-01,x,USD\n", "line 2: 'x' is no decimal number"),
        ("date,amount,currency\n2026-10-01,1,USD\n2026-10-01,1,EUR\n", "in USD and in EUR"),
        ("date,amount,currency\n", "no lines"),
        (&OPENAI.replace("\"has_more\":false", "\"has_more\":true"), "has_more"),
    ] {
        let found = read(text, None).unwrap_err();
        assert!(found.contains(why), "{found}");
    }
}

fn computed(date: &str, model: &str, meter: Meter, cost: &str, quantity: i64, unpriced_calls: i64) -> Computed {
    let date: NaiveDate = date.parse().unwrap();
    let cell = Cell { date, model: Some(model.to_owned()), meter: Some(meter) };
    Computed { cell, cost: cost.parse().unwrap(), quantity: Decimal::from(quantity), unpriced_calls }
}

#[test]
fn each_cell_says_why() {
    let bill = "date,model,meter,amount,currency,quantity\n\
        2026-10-01,a,input,1.00,USD,\n2026-10-01,b,input,2.00,USD,\n2026-10-01,c,input,3.00,USD,\n\
        2026-10-02,d,input,4.00,USD,\n2026-10-03,d,input,6.00,USD,\n2026-10-01,e,input,5.00,USD,1000\n\
        2026-10-01,f,input,5.00,USD,2000\n2026-10-01,g,input,1.10,USD,\n2026-10-01,h,input,1.00,USD,\n";
    let lake = [
        computed("2026-10-01", "a", Meter::Input, "1.004", 10, 0),
        computed("2026-10-01", "b", Meter::Input, "1.5", 10, 3),
        computed("2026-10-02", "d", Meter::Input, "5", 10, 0),
        computed("2026-10-03", "d", Meter::Input, "5", 10, 0),
        computed("2026-10-01", "e", Meter::Input, "4", 1_000, 0),
        computed("2026-10-01", "f", Meter::Input, "4", 1_000, 0),
        computed("2026-10-01", "g", Meter::Input, "1", 1_000, 0),
        computed("2026-10-01", "h", Meter::Input, "1", 1_000, 0),
        computed("2026-10-01", "i", Meter::Input, "1", 1_000, 0),
    ];
    let (_, _, lines) = read(bill, None).unwrap();
    let found: Vec<_> = compare(&lines, &lake)
        .iter()
        .map(|one| (one.cell.model.clone().unwrap(), one.difference().normalize().to_string(), one.reason))
        .collect();
    let expected = [
        ("a", "-0.004", Reason::Rounding),
        ("b", "0.5", Reason::Unpriced),
        ("c", "3", Reason::MissingEvents),
        ("e", "1", Reason::PriceDifference),
        ("f", "1", Reason::MissingEvents),
        ("g", "0.1", Reason::PriceDifference),
        ("h", "0", Reason::None),
        ("i", "-1", Reason::NotBilled),
        ("d", "-1", Reason::Late),
        ("d", "1", Reason::Late),
    ];
    assert_eq!(found, expected.map(|(model, difference, reason)| (model.to_owned(), difference.to_owned(), reason)));
}

#[test]
fn a_bill_without_models_is_compared_by_day() {
    let (_, _, lines) = read("date,amount,currency\n2026-10-01,3,USD\n", None).unwrap();
    let lake =
        [computed("2026-10-01", "a", Meter::Input, "1", 1, 0), computed("2026-10-01", "b", Meter::Output, "2", 1, 0)];
    let found = compare(&lines, &lake);
    assert_eq!((found.len(), found[0].difference()), (1, Decimal::ZERO));
    assert_eq!(found[0].implied_prices().unwrap(), (Decimal::from(1_500_000), Decimal::from(1_500_000)));
}
