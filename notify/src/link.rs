//! Where a reader of a message looks, and where it is switched off. An address below `server.public_url`, or, where that
//! is not set, the command that does it.

use spendstream_schemas::alert::Alert;
use url::Url;

/// Something to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Url(String),
    Command(String),
}

impl Link {
    #[must_use]
    pub fn text(&self) -> &str {
        let (Self::Url(text) | Self::Command(text)) = self;
        text
    }

    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Url(url) => Some(url),
            Self::Command(_) => None,
        }
    }
}

/// Makes links.
#[derive(Clone, Debug, Default)]
pub struct Links(Option<Url>);

impl Links {
    /// # Errors
    /// When `public_url` is given and is no address of a web server.
    pub fn new(public_url: &str) -> Result<Self, String> {
        if public_url.is_empty() {
            return Ok(Self(None));
        }
        match Url::parse(public_url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self(Some(url))),
            _ => Err(format!("server.public_url is '{public_url}'; write https://HOST")),
        }
    }

    /// Where the alert is shown with what led to it.
    #[must_use]
    pub fn look(&self, alert: &Alert) -> Link {
        self.to(&["alerts", &alert.id])
            .unwrap_or_else(|| Link::Command(format!("spendstream alerts show {}", alert.id)))
    }

    /// Where messages like it are switched off: at its budget, or at the alert itself.
    #[must_use]
    pub fn switch_off(&self, alert: &Alert) -> Link {
        let target = match &alert.budget_id {
            Some(budget) => self.to(&["budgets", budget]),
            None => self.to(&["alerts", &alert.id, "snooze"]),
        };
        target.unwrap_or_else(|| Link::Command(format!("spendstream alerts snooze {}", alert.id)))
    }

    /// Where all alerts are.
    #[must_use]
    pub fn all(&self) -> Link {
        self.to(&["alerts"]).unwrap_or_else(|| Link::Command("spendstream alerts list".into()))
    }

    fn to(&self, segments: &[&str]) -> Option<Link> {
        let mut url = self.0.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(Link::Url(url.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::Links;

    #[test]
    fn ids_cannot_leave_their_place() {
        let links = Links::new("https://spend.example.org/base/").unwrap();
        assert_eq!(
            links.to(&["budgets", "a/../b?c"]).unwrap().text(),
            "https://spend.example.org/base/budgets/a%2F..%2Fb%3Fc"
        );
        assert!(Links::new("spend.example.org").is_err());
        assert_eq!(Links::default().all().text(), "spendstream alerts list");
    }
}
