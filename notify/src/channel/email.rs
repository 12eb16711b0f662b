//! Mail: HTML and plain text in one message, through an SMTP server with STARTTLS, TLS or neither, with or without login.
//!
//! The mail server is the operator's own and is not guarded: relays live on private addresses.

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use spendstream_schemas::config::notify::{EmailConfig, MailTls};

use super::Secrets;
use crate::failure::Failure;
use crate::link::Link;
use crate::message::{Message, Section, heading};
use crate::text::{html, one_line, shorten};

/// Of one step of the conversation; the whole attempt is bounded by who sends.
const STEP: Duration = Duration::from_secs(10);
/// Characters of a server's refusal that are kept.
const REASON: usize = 300;

/// A configured mail server.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    shown: String,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({})", self.shown)
    }
}

impl Email {
    pub(super) fn new(config: &EmailConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        let password = secrets.text("password", &config.password)?;
        let port = port(config);
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(port)
            .tls(tls(config, secrets)?)
            .timeout(Some(STEP));
        if !config.username.is_empty() {
            transport = transport.credentials(Credentials::new(config.username.clone(), password));
        }
        let mailbox = |key: &str, text: &str| {
            text.parse::<Mailbox>()
                .map_err(|error| secrets.fault(key, &format!("is '{text}', which is no mail address: {error}")))
        };
        Ok(Self {
            transport: transport.build(),
            from: mailbox("from", &config.from)?,
            to: config.to.iter().map(|to| mailbox("to", to)).collect::<Result<_, _>>()?,
            shown: format!("smtp://{}:{port} tls={:?}", config.host, config.tls).to_lowercase(),
        })
    }

    /// The mail as it goes out.
    ///
    /// # Errors
    /// When `target` is no mail address.
    pub fn mail(&self, message: &Message, target: Option<&str>) -> Result<Mail, String> {
        let to = match target {
            Some(target) => vec![target.parse().map_err(|error| format!("'{target}' is no mail address: {error}"))?],
            None => self.to.clone(),
        };
        let mut mail = Mail::builder()
            .from(self.from.clone())
            .date(SystemTime::from(message.at))
            .message_id(Some(format!("<{}@{}>", message.key, self.from.email.domain())))
            .subject(one_line(&message.subject));
        for mailbox in to {
            mail = mail.to(mailbox);
        }
        let parts = MultiPart::alternative()
            .boundary(format!("=_spendstream_{}", message.key))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(message.plain()))
            .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(page(message)));
        mail.multipart(parts).map_err(|error| error.to_string())
    }

    pub(super) fn preview(&self, message: &Message, target: Option<&str>) -> Result<String, String> {
        let mail = String::from_utf8_lossy(&self.mail(message, target)?.formatted()).replace("\r\n", "\n");
        Ok(format!("{}\n\n{mail}\n", self.shown))
    }

    pub(super) async fn send(&self, message: &Message, target: Option<&str>) -> Result<(), Failure> {
        let mail = self.mail(message, target).map_err(Failure::refused)?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let reason = shorten(&one_line(&error.to_string()), REASON);
                Err(if error.is_permanent() { Failure::refused(reason) } else { Failure::retry(reason) })
            }
        }
    }
}

const fn port(config: &EmailConfig) -> u16 {
    match (config.port, config.tls) {
        (0, MailTls::Implicit) => 465,
        (0, MailTls::None) => 25,
        (0, MailTls::Required | MailTls::Opportunistic) => 587,
        (port, _) => port,
    }
}

fn tls(config: &EmailConfig, secrets: &Secrets<'_>) -> Result<Tls, String> {
    if config.tls == MailTls::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(config.host.clone());
    if !config.ca_file.is_empty() {
        let problem = |error: &dyn fmt::Display| secrets.fault("ca_file", &format!("'{}': {error}", config.ca_file));
        let pem = std::fs::read(&config.ca_file).map_err(|error| problem(&error))?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| problem(&error))?);
    }
    let parameters = parameters.build().map_err(|error| secrets.fault("tls", &error.to_string()))?;
    Ok(match config.tls {
        MailTls::Implicit => Tls::Wrapper(parameters),
        MailTls::Opportunistic => Tls::Opportunistic(parameters),
        MailTls::Required | MailTls::None => Tls::Required(parameters),
    })
}

/// The HTML part: no script, no picture, nothing loaded from anywhere.
fn page(message: &Message) -> String {
    let sections: String = message.sections.iter().map(article).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font-family:sans-serif;max-width:40em\">\n{sections}</body></html>\n",
        html(&message.subject)
    )
}

fn article(section: &Section) -> String {
    let mut facts = String::new();
    for (label, value) in &section.facts {
        let row =
            ["<tr><th align=\"left\" style=\"padding-right:1em\">", label, "</th><td>", &html(value), "</td></tr>\n"];
        facts.extend(row);
    }
    format!(
        "<h2>{}</h2>\n<p>{}</p>\n<table>\n{facts}</table>\n<p><b>What to do:</b> {}</p>\n<p>{} · {}</p>\n",
        html(&heading(&section.alert)),
        html(&section.text).replace('\n', "<br>\n"),
        html(&section.advice),
        anchor(&section.look, "Look here"),
        anchor(&section.switch_off, "Switch off"),
    )
}

fn anchor(link: &Link, label: &str) -> String {
    match link.url() {
        Some(url) => format!("<a href=\"{}\">{label}</a>", html(url)),
        None => format!("{label}: <code>{}</code>", html(link.text())),
    }
}
