//! `[prices.MODEL]`: what the tokens of models cost.

use std::collections::BTreeMap;

use super::reader::{Fields, clipped};
use crate::price::Price;
use crate::problem::Report;

pub(super) fn read(fields: &Fields, report: &mut Report) -> BTreeMap<String, Price> {
    let mut prices = BTreeMap::new();
    for (model, table) in fields.named("prices", report) {
        if model.trim().is_empty() {
            report.add_with_fix(table.at(), "a price has no model", "write the model's name: [prices.\"NAME\"]");
        }
        for name in ["input", "output"] {
            let fix = format!(
                "write the dollars for a million tokens, such as {name} = 2.5; quote a name with a dot: [prices.\"a-1.5\"]"
            );
            table.require(name, &format!("the price of `{}`", clipped(model)), &fix, report);
        }
        let mut price = |name| table.money(name, report).map(micro_usd);
        let (input, output) = (price("input"), price("output"));
        let (cache_read, cache_write) = (price("cache_read"), price("cache_write"));
        let (Some(input), Some(output)) = (input, output) else { continue };
        let (cache_read, cache_write) = (cache_read.unwrap_or(input), cache_write.unwrap_or(input));
        prices.insert(model.to_owned(), Price { input, output, cache_read, cache_write });
    }
    prices
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10^15: the reader has looked")]
fn micro_usd(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}
