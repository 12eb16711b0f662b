//! A plain CSV. In: `date,model,meter,amount,currency` in any order, without those that the bill does not say. Out: lines.

use super::{BillLine, Meter, day, decimal, usage};

pub(super) fn read(text: &str) -> Result<Vec<(BillLine, String)>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| format!("the CSV has no header: {error}"))?.clone();
    let at = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let wanted = |name: &str| {
        at(name).ok_or_else(|| format!("the CSV has no column {name}; it needs date, amount and currency, and may have model, meter and quantity"))
    };
    let (date, amount, currency) = (wanted("date")?, wanted("amount")?, wanted("currency")?);
    let (model, meter, quantity) = (at("model"), at("meter"), at("quantity"));
    let mut lines = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let place = number + 2;
        let record = record.map_err(|error| format!("line {place}: {error}"))?;
        let told = |why: String| format!("line {place}: {why}");
        let text = |at: Option<usize>| at.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let line = BillLine {
            date: day(text(Some(date)).unwrap_or_default()).map_err(told)?,
            model: text(model).map(str::to_owned),
            meter: text(meter).map(Meter::guess),
            amount: decimal(text(Some(amount)).unwrap_or_default()).map_err(told)?,
            quantity: text(quantity).map(decimal).transpose().map_err(told)?,
            category: usage(),
        };
        lines.push((line, text(Some(currency)).unwrap_or_default().to_owned()));
    }
    Ok(lines)
}
