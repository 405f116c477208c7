//! `mqttevh`: events to an MQTT 3.1.1 broker, one message an event.
//!
//! Topics are Janus': `<topic>/sessions`, `<topic>/handles`, ... with `addevent`, else `<topic>` itself; and `<topic>/status`
//! for messages about the connection. Absent on purpose: TLS, which the client library would bring a second cryptography
//! library for.

use super::EventType;
use super::handler::{Inbox, Tally, Told};
use portunus_api::{JsonFormat, Value};
use rumqttc::{AsyncClient, Event, LastWill, MqttOptions, Outgoing, Packet, QoS};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Messages that wait in the client; the queue of events is before it.
const IN_CLIENT: usize = 64;
/// Largest message.
const MAX_MESSAGE: usize = 1 << 20;
/// First and longest pause before the connection is made again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));

/// Where to, and how.
#[derive(Clone)]
pub struct Mqtt {
    /// The host of `url`.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `client_id`
    pub client_id: String,
    /// `username`
    pub user: Option<String>,
    /// `password`
    pub password: Option<String>,
    /// `keep_alive_interval`
    pub keep_alive: Duration,
    /// `cleansession`
    pub clean_session: bool,
    /// `qos`: 0 to 2.
    pub qos: u8,
    /// `retain`
    pub retain: bool,
    /// `topic`
    pub topic: String,
    /// `addevent`: the type of an event is part of its topic, and stands in it.
    pub add_event: bool,
    /// `connect_status`: told when the connection is there.
    pub connect_status: Option<String>,
    /// `disconnect_status`: told before the process ends, and by the broker if it ends without.
    pub disconnect_status: Option<String>,
    /// `json`
    pub format: JsonFormat,
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt").field("host", &self.host).field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Passes events on until the process ends.
pub(crate) async fn run(settings: Mqtt, mut inbox: Inbox, tally: Arc<Tally>) {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    options.set_keep_alive(settings.keep_alive.max(Duration::from_secs(5)));
    options.set_clean_session(settings.clean_session);
    options.set_max_packet_size(MAX_MESSAGE, MAX_MESSAGE);
    if let Some(user) = &settings.user {
        options.set_credentials(user, settings.password.clone().unwrap_or_default());
    }
    let status = format!("{}/status", settings.topic);
    let qos = qos_of(settings.qos);
    if let Some(text) = &settings.disconnect_status {
        options.set_last_will(LastWill::new(&status, text.as_bytes(), qos, settings.retain));
    }
    let (client, mut events) = AsyncClient::new(options, IN_CLIENT);
    let connected = Arc::new(AtomicBool::new(false));
    let seen = connected.clone();
    let (greeting, greeter, failures) = (settings.connect_status.clone(), client.clone(), tally.clone());
    let (greeted, retain) = (status.clone(), settings.retain);
    let driver = tokio::spawn(async move {
        let mut pause = PAUSES.0;
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    tracing::info!("connected to the MQTT broker of the event handler");
                    pause = PAUSES.0;
                    seen.store(true, Ordering::Relaxed);
                    if let Some(text) = &greeting {
                        let _ = greeter.try_publish(&greeted, qos, retain, text.as_bytes());
                    }
                }
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                Ok(_) => {}
                Err(error) => {
                    seen.store(false, Ordering::Relaxed);
                    failures.failed();
                    tracing::warn!(%error, again_in = ?pause, "no connection to the MQTT broker of the event handler");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    });
    while let Some(told) = inbox.next().await {
        let (topic, text) = message(&settings, &told);
        if text.len() + topic.len() + 16 > MAX_MESSAGE {
            tally.lost(1);
            continue;
        }
        let sent = tokio::select! {
            // Waits while the broker is away: what comes meanwhile waits in our queue.
            sent = client.publish(topic, qos, settings.retain, text) => sent.is_ok(),
            () = async { inbox.ended().await; tokio::time::sleep(Duration::from_millis(500)).await } => false,
        };
        if sent { tally.delivered(1) } else { tally.lost(1) }
    }
    if connected.load(Ordering::Relaxed) {
        if let Some(text) = &settings.disconnect_status {
            let _ = client.publish(status, qos, settings.retain, text.as_bytes()).await;
        }
        let _ = client.disconnect().await;
        let _ = timeout(Duration::from_secs(1), driver).await;
    } else {
        driver.abort();
    }
}

const fn qos_of(number: u8) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn message(settings: &Mqtt, told: &Told) -> (String, String) {
    if !settings.add_event {
        return (settings.topic.clone(), settings.format.write(told));
    }
    let number = told.get("type").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    let kind = number.and_then(EventType::from_number).unwrap_or(EventType::Core);
    let mut value = Value::clone(told);
    if let Some(o) = value.as_object_mut() {
        o.insert("eventtype".to_owned(), kind.label().into());
    }
    (format!("{}/{}", settings.topic, kind.plural()), settings.format.write(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus_api::json;

    #[test]
    fn topics_and_labels_are_those_of_janus() {
        let mut settings = Mqtt {
            host: String::new(),
            port: 1883,
            client_id: "guest".into(),
            user: None,
            password: Some("secret".into()),
            keep_alive: Duration::from_secs(30),
            clean_session: false,
            qos: 1,
            retain: false,
            topic: "/janus/events".into(),
            add_event: true,
            connect_status: None,
            disconnect_status: None,
            format: JsonFormat::Compact,
        };
        let told = Arc::new(json!({ "type": 1, "event": {} }));
        let (topic, text) = message(&settings, &told);
        assert_eq!(
            (topic.as_str(), text.as_str()),
            ("/janus/events/sessions", r#"{"type":1,"event":{},"eventtype":"Sessions"}"#)
        );
        settings.add_event = false;
        assert_eq!(
            message(&settings, &told),
            ("/janus/events".to_owned(), r#"{"type":1,"event":{}}"#.to_owned())
        );
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
