//! Mail through real servers: TLS, STARTTLS, login, and what is refused.

use spendstream_notify::desk::Desk;
use spendstream_notify::failure::Verdict;

use crate::support::mail_servers::{GreenMail, Identity, StartTls, component};
use crate::support::sample::{alert, desk, now};

fn mail(tls: &str, port: u16, identity: &Identity, password: &str) -> Desk {
    desk(&format!(
        "[[notify.channels]]\nkind = 'email'\nname = 'mail'\nhost = 'localhost'\nport = {port}\ntls = '{tls}'\n\
         ca_file = '{}'\nusername = 'alerts'\npassword = '{password}'\nfrom = 'spendstream <spend@example.org>'\n\
         to = ['alerts@example.org']\n",
        identity.path("cert.pem")
    ))
}

#[tokio::test]
async fn greenmail_takes_mail_over_tls_with_login() {
    let Some(component) = component() else { return };
    let identity = Identity::new();
    let server = GreenMail::start(&component, &identity).await;
    let good = mail("implicit", server.smtps, &identity, "s3cret-word");
    good.send("mail", &[alert()], None, now()).await.unwrap();
    good.send("mail", &[alert()], Some("Ann <ann@example.org>"), now()).await.unwrap();
    let mails = server.mails("alerts@example.org").await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains(&format!("Message-ID: <{}@example.org>", alert().id)), "{}", mails[0]);
    assert!(
        mails[0].contains("multipart/alternative") && mails[0].contains("text/html") && mails[0].contains("text/plain")
    );
    assert!(mails[0].contains(&format!("https://spend.example.org/alerts/{}", alert().id)), "{}", mails[0]);
    assert_eq!(server.mails("ann@example.org").await.len(), 1);

    let wrong = mail("implicit", server.smtps, &identity, "wr0ng-word");
    let failure = wrong.send("mail", &[alert()], None, now()).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Refused, "{}", failure.reason);
    assert!(!failure.reason.contains("wr0ng-word"), "{}", failure.reason);

    // Without STARTTLS nothing is sent where it is required, and in the open where it is not.
    let required = mail("required", server.smtp, &identity, "s3cret-word");
    assert_eq!(required.send("mail", &[alert()], None, now()).await.unwrap_err().verdict, Verdict::Retry);
    assert_eq!(server.mails("alerts@example.org").await.len(), 1);
    for tls in ["opportunistic", "none"] {
        mail(tls, server.smtp, &identity, "s3cret-word").send("mail", &[alert()], None, now()).await.unwrap();
    }
    assert_eq!(server.mails("alerts@example.org").await.len(), 3);
}

#[tokio::test]
async fn starttls_protects_login_and_mail() {
    let Some(component) = component() else { return };
    let identity = Identity::new();
    let mut server = StartTls::start(&component, &identity);
    for tls in ["required", "opportunistic"] {
        mail(tls, server.port, &identity, "s3cret-word").send("mail", &[alert()], None, now()).await.unwrap();
        let mail = server.mail();
        assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &true.into()));
        assert_eq!(mail["to"], serde_json::json!(["alerts@example.org"]));
        assert!(
            mail["data"].as_str().unwrap().contains("Subject: [spendstream] CRITICAL: search at 81.25 % Bcc:"),
            "{mail}"
        );
    }
    // This server offers no login in the open, and nothing is sent without.
    let open = mail("none", server.port, &identity, "s3cret-word");
    let failure = open.send("mail", &[alert()], None, now()).await.unwrap_err();
    assert!(failure.reason.contains("No compatible authentication mechanism"), "{}", failure.reason);
    let stranger = Identity::new();
    let failure = mail("required", server.port, &stranger, "s3cret-word")
        .send("mail", &[alert()], None, now())
        .await
        .unwrap_err();
    assert_eq!(failure.verdict, Verdict::Retry, "{}", failure.reason);
}
