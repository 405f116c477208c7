//! Offer and answer: the client's descriptions in, the plugins' plans out, and the text between.
//!
//! For each handle at most one offer waits for its answer ([`Exchange`]). The media engine has a peer from the first
//! answer of ours, or offer of ours, on; an offer the plugin refused has left nothing behind, so the next one is as good as
//! a first one.

use crate::handle::{Exchange, Handle, Life, Part, Queued, TheirOffer, Waiting, still_cleaning};
use crate::machine::{Ask, Core};
use crate::settings::limits;
use crate::tasks::Later;
use portunus_api::reply::{self, LocalJsep};
use portunus_api::{ApiError, ErrorCode, HandleId, Jsep, JsepKind, Kind, Value, require};
use portunus_plugin::media::{MediaCommand, Negotiation};
use portunus_plugin::{Description, JsepPlan, Message, Plan, RemoteJsep, Reply};
use portunus_sdp::{
    Codec, LocalTransport, Negotiated, NegotiatedPayload, Payload, PlanMedia, RidOrder, Setup,
};
use serde_json::json;
use std::sync::Arc;

impl Core {
    /// `message`
    pub(crate) fn message(&mut self, ask: &mut Ask, id: HandleId) -> Result<(), ApiError> {
        let request = &mut ask.request;
        require(&request.body, "body", Kind::Object)?;
        let jsep = match request.body.get("jsep") {
            Some(value) => Some(self.on_jsep(id, value)?),
            None => None,
        };
        let Some(Value::Object(body)) = request.body.remove("body") else {
            return Err(ErrorCode::InvalidElementType.into());
        };
        let transaction = request.transaction.clone();
        let session = request.session_id;
        let message = Message { transaction: transaction.clone(), body, jsep };
        let Some(reply) = self.call(id, |p, cx| p.message(cx, id, message)) else {
            return Err(ErrorCode::PluginMessage.into());
        };
        let json = match reply {
            Reply::Ack(hint) => reply::ack(session, &transaction, hint),
            Reply::Later(ticket) => {
                return self.wait_for_task(id, Later { ticket, key: ask.key, transaction });
            }
            Reply::Err(text) => return Err(ApiError::new(ErrorCode::PluginMessage, text)),
            Reply::Now(data) => match self.sender(id) {
                Some(sender) => sender.plugin_success(&transaction, self.package_of(id), data),
                None => return Err(ErrorCode::HandleNotFound.into()),
            },
        };
        self.reply(ask.key, json);
        Ok(())
    }

    pub(crate) fn package_of(&self, id: HandleId) -> &'static str {
        self.handles.get(&id).map_or("", |h| self.package(h.plugin))
    }

    /// Reads a description and takes it for the offer or answer of the exchange at hand.
    fn on_jsep(&mut self, id: HandleId, value: &Value) -> Result<RemoteJsep, ApiError> {
        let jsep = Jsep::parse(value)?;
        if self.handles.get(&id).is_some_and(Handle::is_closing) {
            return Err(still_cleaning());
        }
        let mut description = Description::parse(&jsep.sdp)
            .map_err(|e| ApiError::new(ErrorCode::JsepInvalidSdp, e.janus_text()))?;
        let order = jsep.rid_order.as_deref().unwrap_or("hml");
        description.rid_order = RidOrder::from_name(order).unwrap_or_else(|| {
            tracing::debug!(handle = %id, "unknown rid_order, taken as hml");
            RidOrder::HighFirst
        });
        let description = Arc::new(description);
        let renegotiation = match jsep.kind {
            JsepKind::Offer => self.on_offer(id, &description, &jsep)?,
            JsepKind::Answer => self.on_answer(id, &description, jsep.trickle)?,
        };
        self.note_remote(id, &jsep);
        self.jsep_notice(id, "remote", jsep.kind, &jsep.sdp);
        Ok(RemoteJsep {
            kind: jsep.kind,
            renegotiation,
            e2ee: jsep.e2ee,
            svc: jsep.svc,
            rids_high_first: description.rid_order == RidOrder::HighFirst,
            description,
        })
    }

    /// Whether there is a PeerConnection already.
    fn on_offer(&mut self, id: HandleId, offer: &Arc<Description>, jsep: &Jsep) -> Result<bool, ApiError> {
        let relay_only = jsep.force_relay && self.settings.allow_force_relay;
        let Some(handle) = self.handles.get_mut(&id) else {
            return Err(ErrorCode::HandleNotFound.into());
        };
        let renegotiation = matches!(handle.life, Life::Present { .. });
        let mut glare = false;
        match &handle.exchange {
            // RFC 9429 section 5.2.2: m-lines never go away.
            _ if renegotiation && offer.media.len() < handle.agreed.len() => return Err(unprocessable(true)),
            Exchange::Ours(_) if !handle.is_up() => {
                return Err(ApiError::new(ErrorCode::Unknown, "Error setting ICE locally"));
            }
            Exchange::Ours(_) => {
                // Glare in a renegotiation: the client's offer wins, as in Janus.
                tracing::debug!(handle = %id, "the client offers instead of answering");
                self.counters.illegal_transitions += 1;
                glare = true;
            }
            Exchange::Theirs(_) | Exchange::Settled => {}
        }
        let offer = TheirOffer { description: Arc::clone(offer), trickle: jsep.trickle, relay_only };
        handle.exchange = Exchange::Theirs(Box::new(offer));
        if glare {
            self.give_up_descriptions(id);
        }
        Ok(renegotiation)
    }

    /// Whether there was a PeerConnection before the offer this answers.
    fn on_answer(&mut self, id: HandleId, answer: &Description, trickle: bool) -> Result<bool, ApiError> {
        let Some(handle) = self.handles.get_mut(&id) else {
            return Err(ErrorCode::HandleNotFound.into());
        };
        let Exchange::Ours(plan) = &handle.exchange else {
            return Err(ApiError::new(ErrorCode::UnexpectedAnswer, "Unexpected ANSWER (did we offer?)"));
        };
        let renegotiation = handle.is_up();
        if answer.media.len() != plan.media.len() {
            return Err(unprocessable(renegotiation));
        }
        let negotiated = portunus_sdp::negotiate(answer, plan);
        handle.agreed.clone_from(&negotiated);
        handle.exchange = Exchange::Settled;
        handle.story.begins(Some(&answer.transport().ufrag));
        let trickle = trickle || !handle.early.is_empty();
        let worker = handle.worker;
        self.media_command(MediaCommand::Negotiate(Box::new(Negotiation {
            handle: id,
            exchange: None,
            remote: Some(answer.transport().clone()),
            offering: true,
            restart: false,
            trickle,
            relay_only: false,
            media: negotiated,
            affinity: None,
            worker,
        })));
        self.remote_candidate_notices(id, answer);
        self.pass_on_early(id);
        Ok(renegotiation)
    }

    /// A plugin wants a description sent: asks the media engine for its part. The event waits for it.
    pub(crate) fn describe(
        &mut self,
        id: HandleId,
        transaction: Option<String>,
        data: Value,
        jsep: Box<JsepPlan>,
    ) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if handle.is_closing() {
            return self.describe_later(id, Queued::Push { transaction, data, jsep });
        }
        let offer = match (jsep.kind, &handle.exchange) {
            (JsepKind::Answer, Exchange::Theirs(offer)) => {
                Some((Arc::clone(&offer.description), offer.trickle, offer.relay_only))
            }
            (JsepKind::Offer, Exchange::Settled | Exchange::Ours(_)) => None,
            // The client's offer was refused, or is overruled: it must not keep the plugin from offering.
            (JsepKind::Offer, Exchange::Theirs(_)) => None,
            _ => {
                self.counters.illegal_transitions += 1;
                tracing::warn!(handle = %id, kind = jsep.kind.as_str(), "a description the exchange does not allow");
                return self.push(id, transaction, data);
            }
        };
        if handle.waiting.iter().filter(|w| w.is_wanted()).count() >= limits::WAITING_DESCRIPTIONS {
            self.counters.refused_full += 1;
            return self.push(id, transaction, data);
        }
        let exchange = self.next_exchange;
        self.next_exchange += 1;
        let media = agree(handle, offer.as_ref().map(|(offer, ..)| &**offer), &jsep.plan);
        let deadline = self.now + limits::GATHERING;
        let negotiation = Negotiation {
            handle: id,
            exchange: Some(exchange),
            remote: offer.as_ref().map(|(o, ..)| o.transport().clone()),
            offering: offer.is_none(),
            restart: jsep.restart,
            trickle: offer.as_ref().is_none_or(|(_, trickle, _)| *trickle) || !handle.early.is_empty(),
            relay_only: offer.as_ref().is_some_and(|(.., relay_only)| *relay_only),
            media,
            affinity: jsep.affinity.clone().or_else(|| jsep.plan.affinity.clone()),
            worker: handle.worker,
        };
        let first_mid = jsep.plan.media.first().map(|m| m.mid.clone()).unwrap_or_default();
        let ufrag = offer.as_ref().map(|(o, ..)| o.transport().ufrag.as_str());
        let begins = handle.story.begins(ufrag) || jsep.restart;
        handle.story.begun = handle.story.begun.or(Some(self.now));
        handle.life = Life::Present { up: handle.is_up(), first_mid };
        handle.exchange = match &offer {
            Some(_) => Exchange::Settled,
            None => Exchange::Ours(Box::new(jsep.plan.clone())),
        };
        handle.waiting.push_back(Waiting {
            transaction,
            data,
            part: Part::Wanted { exchange, deadline, plan: jsep },
        });
        self.deadlines.insert((deadline, id));
        if begins {
            self.gathering_notice(id);
        }
        self.media_command(MediaCommand::Negotiate(Box::new(negotiation)));
        if let Some((offer, ..)) = offer {
            self.remote_candidate_notices(id, &offer);
            self.pass_on_early(id);
        }
    }

    /// The description belongs to the next PeerConnection: the event waits for the old one to close.
    fn describe_later(&mut self, id: HandleId, push: Queued) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if handle.queue.len() < limits::WAITING_REQUESTS {
            return handle.queue.push_back(push);
        }
        self.counters.refused_full += 1;
        tracing::warn!(handle = %id, "too much waits for an old PeerConnection to close");
        if let Queued::Push { transaction, data, .. } = push {
            // Better without its description than lost.
            self.push(id, transaction, data);
        }
    }

    /// Our part of a description is there: writes it and sends the event that has waited for it, and those behind it.
    pub(crate) fn on_local(&mut self, id: HandleId, exchange: u64, mut transport: LocalTransport) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        let Some(waiting) = handle.waiting.iter_mut().find(|w| w.is_exchange(exchange)) else {
            self.counters.illegal_transitions += 1;
            return tracing::debug!(handle = %id, exchange, "nobody waits for this transport");
        };
        let Part::Wanted { plan, .. } = std::mem::replace(&mut waiting.part, Part::Ready(None)) else {
            return;
        };
        if plan.kind == JsepKind::Offer {
            // RFC 8842 section 5.3: also when the roles are settled, the answerer chooses.
            transport.setup = Setup::ActPass;
        }
        let (sdp, candidates) = (portunus_sdp::write(&plan.plan, &transport), transport.candidates);
        let jsep = LocalJsep { kind: plan.kind, sdp, e2ee: plan.e2ee };
        let kind = jsep.kind;
        let kept = self.settings.admin.then(|| jsep.sdp.clone().into_boxed_str());
        let told = self.settings.broadcast.then(|| jsep.sdp.clone());
        waiting.part = Part::Ready(Some(jsep));
        if kept.is_some() {
            handle.story.local = kept;
        }
        self.candidate_notices(id, &candidates);
        self.jsep_notice(id, "local", kind, &told.unwrap_or_default());
        self.release(id);
    }

    /// Sends the events at the front that wait for nothing any more.
    fn release(&mut self, id: HandleId) {
        loop {
            let Some(handle) = self.handles.get_mut(&id) else { return };
            let Some(Waiting { transaction, data, part }) = handle.waiting.pop_front() else { return };
            match part {
                Part::Ready(jsep) => self.send_event(id, transaction.as_deref(), data, jsep.as_ref()),
                Part::Notice => {
                    let Some(plugin) = self.handles.get(&id).map(|h| h.plugin) else { return };
                    let (session, package) = (self.handles.get(&id).map(|h| h.session), self.package(plugin));
                    self.notice(64, None, session, Some(id), || json!({ "plugin": package, "data": data }));
                }
                wanted @ Part::Wanted { .. } => {
                    return handle.waiting.push_front(Waiting { transaction, data, part: wanted });
                }
            }
        }
    }

    /// The descriptions that events wait for will never be there: these events go without them, so that none is lost.
    pub(crate) fn give_up_descriptions(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        for waiting in handle.waiting.iter_mut().filter(|w| w.is_wanted()) {
            waiting.part = Part::Ready(None);
        }
        self.release(id);
    }

    /// Keeps what the Admin API tells of a description.
    fn note_remote(&mut self, id: HandleId, jsep: &Jsep) {
        let keep = self.settings.admin;
        let Some(handle) = self.handles.get_mut(&id) else { return };
        let story = &mut handle.story;
        match jsep.kind {
            JsepKind::Offer => story.got_offer = true,
            JsepKind::Answer => story.got_answer = true,
        }
        story.trickle = jsep.trickle;
        story.e2ee |= jsep.e2ee;
        if keep {
            story.remote = Some(jsep.sdp.as_str().into());
        }
    }
}

/// The m-lines that this description settles, or proposes.
fn agree(handle: &mut Handle, offer: Option<&Description>, plan: &Plan) -> Vec<Negotiated> {
    let Some(offer) = offer else { return proposed(plan, &handle.agreed) };
    let agreed = portunus_sdp::negotiate(offer, plan);
    handle.agreed.clone_from(&agreed);
    agreed
}

fn unprocessable(renegotiation: bool) -> ApiError {
    let code = if renegotiation { ErrorCode::UnexpectedAnswer } else { ErrorCode::JsepInvalidSdp };
    ApiError::new(code, "Error processing SDP")
}

/// What the media engine has to know of an offer of ours: m-lines agreed on before stay as they are until the answer
/// comes; new ones neither send nor receive until then, but get their SSRCs.
fn proposed(plan: &Plan, agreed: &[Negotiated]) -> Vec<Negotiated> {
    let line = |(index, ours): (usize, &PlanMedia)| {
        let before = agreed.get(index).filter(|a| a.mid == ours.mid && a.kind == ours.kind && ours.accepted);
        before.cloned().unwrap_or_else(|| Negotiated {
            mindex: u16::try_from(index).unwrap_or(u16::MAX),
            mid: ours.mid.clone(),
            kind: ours.kind.clone(),
            active: ours.accepted,
            receive: false,
            send: false,
            payloads: ours.payloads.iter().map(proposed_payload).collect(),
            extensions: ours.extensions.iter().map(|e| (e.id, e.uri.clone())).collect(),
            remote_ssrcs: Vec::new(),
            rids: Vec::new(),
            msid: None,
            sctp_port: None,
            max_message_size: None,
        })
    };
    plan.media.iter().enumerate().map(line).collect()
}

fn proposed_payload(ours: &Payload) -> NegotiatedPayload {
    NegotiatedPayload {
        pt: ours.pt,
        name: ours.name.clone(),
        codec: Codec::of(ours),
        clock_rate: ours.clock_rate,
        channels: ours.channels,
        fmtp: ours.fmtp.clone(),
        rtx: ours.rtx,
        nack: ours.has_feedback("nack"),
        pli: ours.has_feedback("nack pli"),
        fir: ours.has_feedback("ccm fir"),
        remb: ours.has_feedback("goog-remb"),
        twcc: ours.has_feedback("transport-cc"),
    }
}
