//! What is kept of events and questions of persons who are pseudonymous or erased.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{Cover, Fates};
use crate::decision::Request;
use crate::dimension::Text;
use crate::pseudonym::{Dimension, ErasedList, Erasure, PrivacyKey, Pseudonyms};
use crate::usage_event::UsageRow;

fn key() -> PrivacyKey {
    PrivacyKey::new("0123456789abcdef").unwrap()
}

fn cover(pseudonymous: &[&str], erased: &[(&str, &str)]) -> Cover {
    let dimensions = pseudonymous.iter().map(|name| name.parse().unwrap());
    let erased = erased.iter().map(|(name, value)| {
        let dimension: Dimension = name.parse().unwrap();
        (dimension.clone(), Erasure::new(&key(), dimension, value).hash())
    });
    Cover::new(Pseudonyms::new(key(), dimensions), ErasedList::new(key(), erased))
}

fn row<'a>(texts: &[(Text, &'a str)], tags: &[(&'a str, &'a str)]) -> UsageRow<'a> {
    let mut row = UsageRow::default();
    for (text, value) in texts {
        row.texts.set(*text, *value);
    }
    row.tags.extend(tags.iter().map(|(key, value)| (Cow::Borrowed(*key), Cow::Borrowed(*value))));
    row
}

/// `column=value` of all that is there, tags last.
fn shown(row: &UsageRow<'_>) -> Vec<String> {
    let texts = row.texts.iter().filter_map(|(text, value)| Some(format!("{}={}", text.column(), value?)));
    texts.chain(row.tags.iter().map(|(key, value)| format!("tags.{key}={value}"))).collect()
}

const TEXTS: [(Text, &str); 6] = [
    (Text::EventId, "call-ann-17"),
    (Text::Model, "gpt-4o"),
    (Text::Team, "search"),
    (Text::UserId, "Ann"),
    (Text::Customer, "acme"),
    (Text::App, "ann"),
];

#[test]
fn a_pseudonym_stands_for_a_user_in_ids_and_tags_too() {
    let ann = key().pseudonym(&Dimension::USER, "ann");
    let cover = cover(&["user_id"], &[]);
    let row = row(&TEXTS, &[("mail", "ann@x.org"), ("env", "prod")]);
    let kept = cover.row(&row, &mut Fates::default()).unwrap();
    let expected = [
        format!("event_id=call-{ann}-17"),
        "model=gpt-4o".to_owned(),
        "team=search".to_owned(),
        format!("user_id={ann}"),
        "customer=acme".to_owned(),
        // A label that happens to be the same word.
        "app=ann".to_owned(),
        format!("tags.mail={ann}@x.org"),
        "tags.env=prod".to_owned(),
    ];
    assert_eq!(shown(&kept), expected);
    // What is kept is kept as it is.
    assert!(cover.row(&kept, &mut Fates::default()).is_none());
}

#[test]
fn an_erased_user_is_named_nowhere_in_the_row() {
    for pseudonymous in [vec![], vec!["user_id"]] {
        let cover = cover(&pseudonymous, &[("user_id", "ANN"), ("tags.mail", "x")]);
        let row = row(&TEXTS, &[("mail", "ann@x.org"), ("who", "ann"), ("ann", "1"), ("env", "prod")]);
        let mut known = Fates::default();
        let kept = shown(&cover.row(&row, &mut known).unwrap());
        assert!(kept[0].starts_with("event_id=erased-"), "{kept:?}");
        assert_eq!(kept[1..5], ["model=gpt-4o", "team=search", "user_id=erased", "app=erased"]);
        assert!(kept[5].starts_with("tags.mail=erased-") && kept[7].starts_with("tags.erased-"), "{kept:?}");
        assert_eq!((kept[6].as_str(), kept[8].as_str()), ("tags.who=erased", "tags.env=prod"));
        assert_eq!(shown(&cover.row(&row, &mut known).unwrap()), kept, "a repeat is the same");
    }
}

/// A row that was kept under a pseudonym and erased in the lake later is what its message, read again, becomes.
#[test]
fn erased_later_or_at_once_is_the_same() {
    let row = row(&TEXTS, &[("mail", "ann@x.org")]);
    let at_once = cover(&["user_id"], &[("user_id", "ann")]).row(&row, &mut Fates::default()).map(|row| shown(&row));
    let kept = cover(&["user_id"], &[]);
    let mut kept = kept.row(&row, &mut Fates::default()).unwrap();
    // Whoever erases knows the value, and so what mentions it.
    let ann = Erasure::new(&key(), Dimension::USER, "ann");
    for column in Text::ALL {
        let Some(value) = kept.texts.get(column).map(str::to_owned) else { continue };
        kept.texts.set(column, ann.column(column, &value).unwrap_or_default().into_owned());
    }
    kept.tags.iter_mut().for_each(|(_, value)| *value = Cow::Owned(ann.text(value).into_owned()));
    assert_eq!(Some(shown(&kept)), at_once);
}

#[test]
fn a_tag_can_name_the_person() {
    let cover = cover(&["customer"], &[("tags.mail", "Ann@x")]);
    let row = row(&[(Text::EventId, "1"), (Text::UserId, "u7"), (Text::Customer, "acme")], &[("mail", "Ann@x")]);
    let kept = shown(&cover.row(&row, &mut Fates::default()).unwrap());
    assert_eq!(kept, ["event_id=1", "user_id=erased", "tags.mail=erased"]);
}

#[test]
fn others_are_not_touched() {
    let cover = cover(&["user_id"], &[("customer", "acme")]);
    let none = row(&[(Text::EventId, "1"), (Text::Customer, "Acme")], &[]);
    assert!(cover.row(&none, &mut Fates::default()).is_none());
    let everything = Cover::default();
    assert!(everything.is_nothing() && everything.row(&row(&TEXTS, &[]), &mut Fates::default()).is_none());
}

#[test]
fn a_question_is_asked_as_its_event_will_be_kept() {
    let cover = cover(&["user_id"], &[]);
    let body = r#"{"model": "m", "input_tokens": 1, "id": "call-ann-1", "user": " Ann ", "tags": {"mail": "ann@x"}}"#;
    let mut request = Request::parse(body.as_bytes()).unwrap();
    cover.request(&mut request);
    let ann = key().pseudonym(&Dimension::USER, "ann");
    assert_eq!(request.texts.get(Text::UserId), Some(&*ann));
    assert_eq!(request.texts.get(Text::EventId), Some(&*format!("call-{ann}-1")));
    assert_eq!(request.tag("mail"), Some(&*format!("{ann}@x")));
}

proptest! {
    /// Whoever is pseudonymous or erased is mentioned by nothing that is kept of the row but labels under a pseudonym.
    #[test]
    fn no_identifier_is_left(
        id in "[a-z-]{1,9}", tag in "[a-z @]{0,9}", session in "[a-z/]{0,9}", user in "[b-z]{3,4}", is_erased in any::<bool>(),
    ) {
        let (id, tag) = (format!("{id}-{user}"), format!("{user} {tag}"));
        let cover = cover(&["user_id"], if is_erased { &[("user_id", "abc")] } else { &[] });
        let user = if is_erased { "ABC" } else { user.as_str() };
        let row = row(&[(Text::EventId, &id), (Text::UserId, user), (Text::SessionId, &session)], &[("t", &tag)]);
        let kept = cover.row(&row, &mut Fates::default()).unwrap();
        let one = Erasure::new(&key(), Dimension::USER, user);
        prop_assume!(!"user_id event_id session_id t".contains(user));
        let name = super::Name::new(user, true);
        for text in shown(&kept) {
            prop_assert!(!name.is_in(text.split_once('=').unwrap().1), "{text}");
            prop_assert!(!is_erased || !one.mentions(&text), "{text}");
        }
        prop_assert!(cover.row(&kept, &mut Fates::default()).is_none(), "what is kept is kept");
    }
}
