"""A SIP party for Twisted that needs no registrar: it listens over mutual TLS, dials its peers and answers them.

The map of the code, from the bottom up; each package imports only what stands above it here:

===================  =================================================================================================
``errors``           every exception, in one tree
``sip``              SIP itself: grammar, messages, transactions, the rules of RFC 3261; no socket, no clock, no Twisted
``transport``        sockets, TLS and identity, connections, the clock, and the driver that feeds the core
``endpoint``         what an application programs against: endpoints, connection managers, events
``observe``          taps on what is sent and received: traces and ladders
``service``          ``twistd sip-p2p`` and the ``sip-p2p`` command
===================  =================================================================================================

Beside them stand ``sdp`` (session descriptions, their offers and answers), ``documents`` (presence, dialogs, messages
waiting, reports: what the bodies of events and texts say), ``pki`` (a private authority and its certificates) and
``testing`` (a network in memory on one clock).

The names below are the public ones; each is imported when it is first asked for, so that ``sip_p2p.sip`` can be used
without Twisted, and nothing here ever installs a reactor.

Where a text says "row A13", ``docs/acceptance.rst`` has that row, and the tests that show it.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from sip_p2p.errors import (
    AlreadyResponded,
    AuthenticationFailed,
    ConnectionFailure,
    EndpointTerminated,
    InvalidOperation,
    ListenFailed,
    MalformedDescription,
    MalformedDocument,
    MalformedMessage,
    MessageNotDelivered,
    NotListening,
    OfferRejected,
    OperationTimeout,
    OutboxFailed,
    PeerOverloaded,
    RequestFailed,
    RestrictedHeader,
    SessionTerminated,
    SipError,
    SubscriptionTerminated,
    TlsFailure,
    TlsFailureReason,
)

if TYPE_CHECKING:
    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.authentication.authenticator import DigestAuthenticator
    from sip_p2p.endpoint.authentication.credentials import Credentials
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.connection_request import ConnectionRequest
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint, SipPeerToPeerEndpoint
    from sip_p2p.endpoint.events import EndpointState, Event, StateChanged, StateReason
    from sip_p2p.endpoint.flow_events import FlowLost, FlowOpened
    from sip_p2p.endpoint.from_policy import FromPolicy
    from sip_p2p.endpoint.identity.fetching import FetchRules
    from sip_p2p.endpoint.identity.signer import PassportSigner
    from sip_p2p.endpoint.identity.verdict import PassportStatus, PassportVerdict
    from sip_p2p.endpoint.identity.verifier import PassportVerifier
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.listener import Listener
    from sip_p2p.endpoint.listener_watch import AddressesChanged, ListenerLost, ListenerWatch
    from sip_p2p.endpoint.load_events import OverloadChanged, ThrottlingStateChanged
    from sip_p2p.endpoint.messaging.conversation import Conversation
    from sip_p2p.endpoint.messaging.message import IncomingText, MessageStatus, OutgoingText, ReportReceived
    from sip_p2p.endpoint.messaging.messenger import Messenger
    from sip_p2p.endpoint.messaging.outbox import Outbox
    from sip_p2p.endpoint.messaging.outbox_entry import OutboxEntry, OutboxLimits, OutboxState
    from sip_p2p.endpoint.peer import Peer
    from sip_p2p.endpoint.publication.compositor import EventStateCompositor
    from sip_p2p.endpoint.publication.publication import Publication
    from sip_p2p.endpoint.registration.arguments import RegisterArguments
    from sip_p2p.endpoint.registration.registration import Registration
    from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
    from sip_p2p.endpoint.registration.states import RegistrationState, RegistrationStateChanged
    from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager
    from sip_p2p.endpoint.session.calling import CallArguments, Redirecting
    from sip_p2p.endpoint.session.events import InvitationAccepted, ProvisionalResponseReceived, RemoteAnswer
    from sip_p2p.endpoint.session.exchange import IncomingOffer
    from sip_p2p.endpoint.session.offers import IOfferAnswer
    from sip_p2p.endpoint.session.participant import EarlyDialog, SignalingParticipant
    from sip_p2p.endpoint.session.recovery import Recovery, RouteSetStatus, RouteSetStatusChanged
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingState, SignalingStateChanged, SignalingTransitionReason
    from sip_p2p.endpoint.session.watching import TracedMessage
    from sip_p2p.endpoint.subscription.arguments import SubscribeArguments
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.package import EventPackage, Verdict
    from sip_p2p.endpoint.subscription.packages.dialogs import DialogPackage
    from sip_p2p.endpoint.subscription.packages.message_summary import MessageSummaryPackage
    from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from sip_p2p.endpoint.subscription.states import SubscriptionState, SubscriptionStateChanged
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.endpoint.transfer.referral import Referral
    from sip_p2p.endpoint.transfer.referring import ReferArguments
    from sip_p2p.endpoint.transfer.replacing import Replacement
    from sip_p2p.endpoint.transfer.states import ReferProgress, ReferStatus
    from sip_p2p.sip.body import MediaType
    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.sip.dialog.capabilities import Capabilities
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.references import Join, Replaces, TargetDialog
    from sip_p2p.sip.dialog.session_timer import Refresher, SessionTimerSettings
    from sip_p2p.sip.event.notifier import NotifierState
    from sip_p2p.sip.event.publisher import PublicationState
    from sip_p2p.sip.event.refer import ReferredBy, ReferTo
    from sip_p2p.sip.event.subscribing import SubscribeKind
    from sip_p2p.sip.fields import NameAddr
    from sip_p2p.sip.headers import Headers
    from sip_p2p.sip.limits import MessageLimits
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.passport import Passport, PassportIdentity
    from sip_p2p.sip.preferences import ContactPreference, FeatureParameters
    from sip_p2p.sip.registration.recovery import FlowRecovery
    from sip_p2p.sip.status import Status
    from sip_p2p.sip.transaction.timers import Timers
    from sip_p2p.sip.uri import SipUri, TelUri
    from sip_p2p.transport.dns.dns_resolver import DnsResolver
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.dns.resolver import AddressResolver, Resolver, StaticResolver
    from sip_p2p.transport.keep_alive import KeepAlive
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.load.overload import OverloadState
    from sip_p2p.transport.proxy import ProxyConnector
    from sip_p2p.transport.stream.websocket import WebSocketOptions
    from sip_p2p.transport.target import Target, Transport
    from sip_p2p.transport.tls.expiry import CertificateExpiring
    from sip_p2p.transport.tls.server_names import ServerNames
    from sip_p2p.transport.trust.credential import Credential, TrustAnchors
    from sip_p2p.transport.trust.first_use import FirstUse
    from sip_p2p.transport.trust.https import HttpsPolicy
    from sip_p2p.transport.trust.identity import TrustPolicy
    from sip_p2p.transport.trust.key_usage import KeyUsagePolicy
    from sip_p2p.transport.trust.pins import PinnedKeys, pin_of
    from sip_p2p.transport.trust.revocation import Revocation, RevocationMode
    from sip_p2p.transport.trust.stack import Doubt, Grant, Shown, Trust, TrustedBy

__version__ = "0.1.0"

__all__ = [
    "AddressFamilyHint",
    "AddressResolver",
    "AddressesChanged",
    "AlreadyResponded",
    "AnswerOptions",
    "AuthenticationFailed",
    "CallArguments",
    "Capabilities",
    "CertificateExpiring",
    "ConnectionFailure",
    "ConnectionRequest",
    "ContactPreference",
    "ContentDescription",
    "Conversation",
    "Credential",
    "Credentials",
    "DialogPackage",
    "DigestAuthenticator",
    "DnsResolver",
    "Doubt",
    "EarlyDialog",
    "EndpointState",
    "EndpointTerminated",
    "Event",
    "EventPackage",
    "EventStateCompositor",
    "FeatureParameters",
    "FetchRules",
    "FirstUse",
    "FlowLost",
    "FlowOpened",
    "FlowRecovery",
    "FromPolicy",
    "Grant",
    "Headers",
    "HttpsPolicy",
    "IOfferAnswer",
    "IncomingOffer",
    "IncomingReferral",
    "IncomingRequest",
    "IncomingText",
    "InvalidOperation",
    "InvitationAccepted",
    "Join",
    "KeepAlive",
    "KeyUsagePolicy",
    "Limits",
    "ListenFailed",
    "Listener",
    "ListenerLost",
    "ListenerWatch",
    "MalformedDescription",
    "MalformedDocument",
    "MalformedMessage",
    "MediaType",
    "MessageLimits",
    "MessageNotDelivered",
    "MessageStatus",
    "MessageSummaryPackage",
    "Messenger",
    "NameAddr",
    "NotListening",
    "Notification",
    "NotifierState",
    "OfferRejected",
    "OperationTimeout",
    "Outbox",
    "OutboxEntry",
    "OutboxFailed",
    "OutboxLimits",
    "OutboxState",
    "OutgoingText",
    "OverloadChanged",
    "OverloadState",
    "Passport",
    "PassportIdentity",
    "PassportSigner",
    "PassportStatus",
    "PassportVerdict",
    "PassportVerifier",
    "Peer",
    "PeerOverloaded",
    "PinnedKeys",
    "PresencePackage",
    "ProvisionalResponseReceived",
    "ProxyConnector",
    "Publication",
    "PublicationState",
    "RealTimeAddress",
    "RealTimeConnectionManager",
    "RealTimeEndpoint",
    "RealTimeServerTcpConnectionManager",
    "RealTimeServerTlsConnectionManager",
    "Recovery",
    "Redirecting",
    "ReferArguments",
    "ReferProgress",
    "ReferStatus",
    "ReferTo",
    "Referral",
    "ReferredBy",
    "Refresher",
    "RegisterArguments",
    "Registration",
    "RegistrationState",
    "RegistrationStateChanged",
    "RemoteAnswer",
    "Replacement",
    "Replaces",
    "ReportReceived",
    "Request",
    "RequestFailed",
    "Resolver",
    "Response",
    "RestrictedHeader",
    "Revocation",
    "RevocationMode",
    "RouteSetStatus",
    "RouteSetStatusChanged",
    "ServerNames",
    "ServerSubscription",
    "SessionTerminated",
    "SessionTimerSettings",
    "Shown",
    "SignalingParticipant",
    "SignalingSession",
    "SignalingState",
    "SignalingStateChanged",
    "SignalingTransitionReason",
    "SipEndpoint",
    "SipError",
    "SipPeerToPeerEndpoint",
    "SipUri",
    "StateChanged",
    "StateReason",
    "StaticResolver",
    "Status",
    "SubscribeArguments",
    "SubscribeKind",
    "Subscription",
    "SubscriptionState",
    "SubscriptionStateChanged",
    "SubscriptionTerminated",
    "Target",
    "TargetDialog",
    "TelUri",
    "ThrottlingStateChanged",
    "Timers",
    "TlsFailure",
    "TlsFailureReason",
    "TracedMessage",
    "Transport",
    "Trust",
    "TrustAnchors",
    "TrustPolicy",
    "TrustedBy",
    "Verdict",
    "WebSocketOptions",
    "__version__",
    "pin_of",
]

_HOMES = {
    "AddressFamilyHint": "sip_p2p.transport.dns.family",
    "AddressResolver": "sip_p2p.transport.dns.resolver",
    "AddressesChanged": "sip_p2p.endpoint.listener_watch",
    "AnswerOptions": "sip_p2p.sip.dialog.answer_options",
    "CallArguments": "sip_p2p.endpoint.session.calling",
    "Capabilities": "sip_p2p.sip.dialog.capabilities",
    "CertificateExpiring": "sip_p2p.transport.tls.expiry",
    "ConnectionRequest": "sip_p2p.endpoint.connection_request",
    "ContactPreference": "sip_p2p.sip.preferences",
    "ContentDescription": "sip_p2p.sip.dialog.description",
    "Conversation": "sip_p2p.endpoint.messaging.conversation",
    "Credential": "sip_p2p.transport.trust.credential",
    "Credentials": "sip_p2p.endpoint.authentication.credentials",
    "DialogPackage": "sip_p2p.endpoint.subscription.packages.dialogs",
    "DigestAuthenticator": "sip_p2p.endpoint.authentication.authenticator",
    "DnsResolver": "sip_p2p.transport.dns.dns_resolver",
    "Doubt": "sip_p2p.transport.trust.stack",
    "EarlyDialog": "sip_p2p.endpoint.session.participant",
    "EndpointState": "sip_p2p.endpoint.events",
    "Event": "sip_p2p.endpoint.events",
    "EventPackage": "sip_p2p.endpoint.subscription.package",
    "EventStateCompositor": "sip_p2p.endpoint.publication.compositor",
    "FeatureParameters": "sip_p2p.sip.preferences",
    "FetchRules": "sip_p2p.endpoint.identity.fetching",
    "FirstUse": "sip_p2p.transport.trust.first_use",
    "FlowLost": "sip_p2p.endpoint.flow_events",
    "FlowOpened": "sip_p2p.endpoint.flow_events",
    "FlowRecovery": "sip_p2p.sip.registration.recovery",
    "FromPolicy": "sip_p2p.endpoint.from_policy",
    "Grant": "sip_p2p.transport.trust.stack",
    "Headers": "sip_p2p.sip.headers",
    "HttpsPolicy": "sip_p2p.transport.trust.https",
    "IOfferAnswer": "sip_p2p.endpoint.session.offers",
    "IncomingOffer": "sip_p2p.endpoint.session.exchange",
    "IncomingReferral": "sip_p2p.endpoint.transfer.incoming_referral",
    "IncomingRequest": "sip_p2p.endpoint.incoming",
    "IncomingText": "sip_p2p.endpoint.messaging.message",
    "InvitationAccepted": "sip_p2p.endpoint.session.events",
    "Join": "sip_p2p.sip.dialog.references",
    "KeepAlive": "sip_p2p.transport.keep_alive",
    "KeyUsagePolicy": "sip_p2p.transport.trust.key_usage",
    "Limits": "sip_p2p.transport.limits",
    "Listener": "sip_p2p.endpoint.listener",
    "ListenerLost": "sip_p2p.endpoint.listener_watch",
    "ListenerWatch": "sip_p2p.endpoint.listener_watch",
    "MediaType": "sip_p2p.sip.body",
    "MessageLimits": "sip_p2p.sip.limits",
    "MessageStatus": "sip_p2p.endpoint.messaging.message",
    "MessageSummaryPackage": "sip_p2p.endpoint.subscription.packages.message_summary",
    "Messenger": "sip_p2p.endpoint.messaging.messenger",
    "NameAddr": "sip_p2p.sip.fields",
    "Notification": "sip_p2p.endpoint.subscription.notification",
    "NotifierState": "sip_p2p.sip.event.notifier",
    "Outbox": "sip_p2p.endpoint.messaging.outbox",
    "OutboxEntry": "sip_p2p.endpoint.messaging.outbox_entry",
    "OutboxLimits": "sip_p2p.endpoint.messaging.outbox_entry",
    "OutboxState": "sip_p2p.endpoint.messaging.outbox_entry",
    "OutgoingText": "sip_p2p.endpoint.messaging.message",
    "OverloadChanged": "sip_p2p.endpoint.load_events",
    "OverloadState": "sip_p2p.transport.load.overload",
    "Passport": "sip_p2p.sip.passport",
    "PassportIdentity": "sip_p2p.sip.passport",
    "PassportSigner": "sip_p2p.endpoint.identity.signer",
    "PassportStatus": "sip_p2p.endpoint.identity.verdict",
    "PassportVerdict": "sip_p2p.endpoint.identity.verdict",
    "PassportVerifier": "sip_p2p.endpoint.identity.verifier",
    "Peer": "sip_p2p.endpoint.peer",
    "PinnedKeys": "sip_p2p.transport.trust.pins",
    "PresencePackage": "sip_p2p.endpoint.subscription.packages.presence",
    "ProvisionalResponseReceived": "sip_p2p.endpoint.session.events",
    "ProxyConnector": "sip_p2p.transport.proxy",
    "Publication": "sip_p2p.endpoint.publication.publication",
    "PublicationState": "sip_p2p.sip.event.publisher",
    "RealTimeAddress": "sip_p2p.endpoint.address",
    "RealTimeConnectionManager": "sip_p2p.endpoint.connection_manager",
    "RealTimeEndpoint": "sip_p2p.endpoint.endpoint",
    "RealTimeServerTcpConnectionManager": "sip_p2p.endpoint.server_managers",
    "RealTimeServerTlsConnectionManager": "sip_p2p.endpoint.server_managers",
    "Recovery": "sip_p2p.endpoint.session.recovery",
    "Redirecting": "sip_p2p.endpoint.session.calling",
    "ReferArguments": "sip_p2p.endpoint.transfer.referring",
    "ReferProgress": "sip_p2p.endpoint.transfer.states",
    "ReferStatus": "sip_p2p.endpoint.transfer.states",
    "ReferTo": "sip_p2p.sip.event.refer",
    "Referral": "sip_p2p.endpoint.transfer.referral",
    "ReferredBy": "sip_p2p.sip.event.refer",
    "Refresher": "sip_p2p.sip.dialog.session_timer",
    "RegisterArguments": "sip_p2p.endpoint.registration.arguments",
    "Registration": "sip_p2p.endpoint.registration.registration",
    "RegistrationState": "sip_p2p.endpoint.registration.states",
    "RegistrationStateChanged": "sip_p2p.endpoint.registration.states",
    "RemoteAnswer": "sip_p2p.endpoint.session.events",
    "Replacement": "sip_p2p.endpoint.transfer.replacing",
    "Replaces": "sip_p2p.sip.dialog.references",
    "ReportReceived": "sip_p2p.endpoint.messaging.message",
    "Request": "sip_p2p.sip.message",
    "Resolver": "sip_p2p.transport.dns.resolver",
    "Response": "sip_p2p.sip.message",
    "Revocation": "sip_p2p.transport.trust.revocation",
    "RevocationMode": "sip_p2p.transport.trust.revocation",
    "RouteSetStatus": "sip_p2p.endpoint.session.recovery",
    "RouteSetStatusChanged": "sip_p2p.endpoint.session.recovery",
    "ServerNames": "sip_p2p.transport.tls.server_names",
    "ServerSubscription": "sip_p2p.endpoint.subscription.server",
    "SessionTimerSettings": "sip_p2p.sip.dialog.session_timer",
    "Shown": "sip_p2p.transport.trust.stack",
    "SignalingParticipant": "sip_p2p.endpoint.session.participant",
    "SignalingSession": "sip_p2p.endpoint.session.session",
    "SignalingState": "sip_p2p.endpoint.session.states",
    "SignalingStateChanged": "sip_p2p.endpoint.session.states",
    "SignalingTransitionReason": "sip_p2p.endpoint.session.states",
    "SipEndpoint": "sip_p2p.endpoint.registration.sip_endpoint",
    "SipPeerToPeerEndpoint": "sip_p2p.endpoint.endpoint",
    "SipUri": "sip_p2p.sip.uri",
    "StateChanged": "sip_p2p.endpoint.events",
    "StateReason": "sip_p2p.endpoint.events",
    "StaticResolver": "sip_p2p.transport.dns.resolver",
    "Status": "sip_p2p.sip.status",
    "SubscribeArguments": "sip_p2p.endpoint.subscription.arguments",
    "SubscribeKind": "sip_p2p.sip.event.subscribing",
    "Subscription": "sip_p2p.endpoint.subscription.subscription",
    "SubscriptionState": "sip_p2p.endpoint.subscription.states",
    "SubscriptionStateChanged": "sip_p2p.endpoint.subscription.states",
    "Target": "sip_p2p.transport.target",
    "TargetDialog": "sip_p2p.sip.dialog.references",
    "TelUri": "sip_p2p.sip.uri",
    "ThrottlingStateChanged": "sip_p2p.endpoint.load_events",
    "Timers": "sip_p2p.sip.transaction.timers",
    "TracedMessage": "sip_p2p.endpoint.session.watching",
    "Transport": "sip_p2p.transport.target",
    "Trust": "sip_p2p.transport.trust.stack",
    "TrustAnchors": "sip_p2p.transport.trust.credential",
    "TrustPolicy": "sip_p2p.transport.trust.identity",
    "TrustedBy": "sip_p2p.transport.trust.stack",
    "Verdict": "sip_p2p.endpoint.subscription.package",
    "WebSocketOptions": "sip_p2p.transport.stream.websocket",
    "pin_of": "sip_p2p.transport.trust.pins",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        home = _HOMES.get(name)
        if home is None:
            # With the module and the name, the interpreter can say what may have been meant.
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value

    def __dir__():
        return sorted(__all__)
