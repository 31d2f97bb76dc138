"""The party: UCMA's ``RealTimeEndpoint`` and ``SipPeerToPeerEndpoint`` (groups A, B, F and G of the acceptance rows).

An endpoint is cheap: many can share one connection manager (row A17). It sends through its outbound proxy or straight
to whom a URI names, and is sent to by peers that the manager has verified.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any, Unpack

from twisted.internet.defer import Deferred, fail, succeed

from sip_p2p.endpoint.address import RealTimeAddress, to_sip_uri
from sip_p2p.endpoint.composition import PLAIN_TEXT, expiry_fields
from sip_p2p.endpoint.outgoing import Outgoing
from sip_p2p.endpoint.party import SESSION_METHODS, Party
from sip_p2p.endpoint.party_options import parse_call_id
from sip_p2p.endpoint.publication.publication import publish
from sip_p2p.endpoint.session import saving
from sip_p2p.endpoint.session.calling import Calling, check_arguments
from sip_p2p.endpoint.session.offers import described, source_of
from sip_p2p.endpoint.session.recovery import Recovery
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.subscription import subscribing
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.endpoint.transfer.replacing import reference_fields
from sip_p2p.errors import EndpointTerminated, InvalidOperation
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.mid_dialog import capability_fields
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.target import Transport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.publication.publication import Document, Publication
    from sip_p2p.endpoint.session.calling import CallArguments
    from sip_p2p.endpoint.subscription.arguments import SubscribeArguments
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri, TelUri
    from sip_p2p.transport.target import Target

__all__ = ["RealTimeEndpoint", "SipPeerToPeerEndpoint"]

_RETRY_CAP = 30.0
_USUAL_TIMER = SessionTimerSettings()


class RealTimeEndpoint(Party):
    """What every kind of endpoint can do; make a :class:`SipPeerToPeerEndpoint`.

    :ivar connection_manager: through which it is reached and reaches others.
    :ivar family: which addresses its requests use, unless one says otherwise (row E23).
    :ivar profile: what the core knows of it: its methods and extensions.
    :ivar application_context: for the application's own use (row A15).
    :ivar state_changed: told when peers can connect, or cannot any more (row B2).
    :ivar message_received: told of each MESSAGE; its handlers answer it (rows B6 to B9).
    :ivar session_received: told of each session that a peer wants to establish; its handlers decide (row B8).
    :ivar answer_options: how INVITEs are answered: how long they may ring, reliable responses, session timers.
    :ivar packages: what peers can subscribe to (row J9).
    :ivar credentials: with what it answers peers that ask for a name and a password; can be added to at any time.
    """

    def send_message(
        self,
        target: str | SipUri | TelUri | RealTimeAddress,
        body: str | bytes,
        content_type: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        from_: str | SipUri | None = None,
        timeout: float | None = None,
        via: Target | None = None,
        family: AddressFamilyHint | str | None = None,
        retry_after: str = "once",
        expires: float | None = None,
        call_id: str | None = None,
        cseq: int = 1,
        privacy: str | Iterable[str] | None = None,
    ) -> Deferred[Response]:
        """Send a MESSAGE (RFC 3428, rows F1 to F5 and F13); the other arguments, *timeout* in seconds among them, are
        those of :meth:`request`.

        What is longer than 1300 octets never goes by UDP (section 8): it goes by TCP, or fails. It is sent at once,
        also while another one to the same party is under way: a :class:`~sip_p2p.Messenger` sends one after the other.

        :param content_type: by default ``text/plain; charset=UTF-8`` for text; octets must say what they are.
        :param expires: after how many seconds it is of no use any more; goes out as Expires, with the Date that it
            counts from.
        """
        if expires is not None:
            headers = (*headers, *expiry_fields(expires, time()))
        if content_type is None and isinstance(body, str):
            content_type = PLAIN_TEXT
        return self.request(
            "MESSAGE",
            target,
            body=body,
            content_type=content_type,
            headers=headers,
            from_=from_,
            timeout=timeout,
            via=via,
            family=family,
            retry_after=retry_after,
            call_id=call_id,
            cseq=cseq,
            privacy=privacy,
        )

    def request(
        self,
        method: str,
        target: str | SipUri | TelUri | RealTimeAddress,
        *,
        body: str | bytes = b"",
        content_type: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        from_: str | SipUri | None = None,
        timeout: float | None = None,
        via: Target | None = None,
        family: AddressFamilyHint | str | None = None,
        retry_after: str = "once",
        unsafe_headers: bool = False,
        max_forwards: int = 70,
        call_id: str | None = None,
        cseq: int = 1,
        max_redirects: int = 0,
        privacy: str | Iterable[str] | None = None,
    ) -> Deferred[Response]:
        """Send a request of any method outside of a session, and wait for its final response (rows F1 to F9).

        :param target: the Request-URI, and the name that must be proved there.
        :param body: text goes out as UTF-8.
        :param headers: further header fields.
        :param from_: another From than the owner's, if ``may_impersonate`` allows it (row A16).
        :param timeout: how long all of it may take, in seconds; by default as long as the transaction (32 s) and its
            dialling.
        :param via: send it there instead of where *target* leads; its ``name`` is what must be proved (row E22).
        :param family: which addresses may be used, and which come first; by default the endpoint's (row E23).
        :param retry_after: ``once`` repeats the request after the Retry-After of a failure, up to 30 s; ``never`` does
            not.
        :param unsafe_headers: let *headers* name fields of the stack, for tools that test other stacks.
        :param max_forwards: how many hops it may take, 0 to 255; who passes a request on gives one less than it came
            with, and answers 483 where it came with 0 (row G8, RFC 7332).
        :param call_id: the Call-ID of a request that is sent anew, so that who had it already can see that (RFC 3261
            section 8.1.3.5); by default another one each time.
        :param cseq: its sequence number, 1 to 2**31 - 1, higher each time.
        :param max_redirects: how many redirections may follow one another (row F11); by default a 3xx is the outcome,
            since it would send what is in the request to somebody whom a peer names.
        :param privacy: what is not to be known of us (RFC 3323): one value of Privacy or several. ``user`` and ``id``
            (RFC 3325) send From as ``anonymous.invalid``, and leave out what tells of the user and the device;
            ``id``, ``header``, ``session``, ``history`` and ``critical`` ask the network. A peer that is connected with
            us sees our certificate all the same.
        :returns: the final response below 300. Fails with :class:`~sip_p2p.errors.RequestFailed`,
            :class:`~sip_p2p.errors.OperationTimeout`, :class:`~sip_p2p.errors.ConnectionFailure` or
            :class:`~sip_p2p.errors.TlsFailure`, :class:`~sip_p2p.errors.EndpointTerminated`. It can be cancelled.
        :raises ValueError: for anything that cannot stand in a request.
        :raises RestrictedHeader: for a header field that the stack sets.
        :raises InvalidOperation: when this endpoint does not send, or *method* belongs to a session.
        """
        check_thread()
        if not self._outbound:
            raise InvalidOperation("this endpoint only receives: it was made with outbound=False")
        if method in SESSION_METHODS:
            raise InvalidOperation(f"{method} belongs to a session and cannot be sent by itself")
        if retry_after not in ("once", "never"):
            raise ValueError(f"retry_after is 'once' or 'never', not {retry_after!r}")
        # Written so that a NaN, which is neither more nor less than anything, is refused as well.
        if timeout is not None and not timeout > 0:
            raise ValueError(f"a timeout of {timeout} s leaves no time")
        if not 0 <= max_forwards <= 255:
            raise ValueError(f"a request takes between 0 and 255 hops, not {max_forwards}")
        if not 0 < cseq < 2**31:
            raise ValueError(f"a sequence number is between 1 and 2**31 - 1, not {cseq}")
        if max_redirects < 0:
            raise ValueError(f"no request follows {max_redirects} redirections")
        uri = to_sip_uri(target, self._owner.host)
        composition, tokens = self._composition, self.connection_manager.tokens
        plan = composition.plan(
            method,
            uri,
            body,
            content_type,
            headers,
            from_,
            tokens,
            unsafe_headers=unsafe_headers,
            privacy=privacy,
        )
        plan.max_forwards = str(max_forwards)
        if call_id is not None:
            plan.call_id = parse_call_id(call_id)
        plan.cseq = cseq
        hop, through = composition.first_hop(uri, via, plan)
        plan.prepare()
        if self._terminated is not None or self.connection_manager.is_terminated:
            return fail(EndpointTerminated("the endpoint was terminated"))
        hint = self.family if family is None else AddressFamilyHint.named(family)
        cap = _RETRY_CAP if retry_after == "once" else 0.0
        outgoing = Outgoing(self, plan, hop, through, timeout, cap, hint, max_redirects)
        self._outgoing[outgoing] = None
        outgoing.start()
        return outgoing.done

    def create_session(
        self, target: str | SipUri | TelUri | RealTimeAddress, **arguments: Unpack[CallArguments]
    ) -> SignalingSession:
        """A session with *target* that is not established yet, for handlers to subscribe to its events;
        :meth:`.SignalingSession.establish` calls (row H3). It is the endpoint's until it was terminated.

        :param target: the Request-URI, and the name that must be proved there.
        :param arguments: see :class:`~sip_p2p.endpoint.session.calling.CallArguments`.
        :raises ValueError: for anything that cannot stand in a request.
        :raises TypeError: for an argument that there is not, or of the wrong type.
        :raises RestrictedHeader: for a header field that the stack sets.
        :raises InvalidOperation: when this endpoint does not send.
        :raises EndpointTerminated: when it was terminated.
        """
        check_thread()
        if not self._outbound:
            raise InvalidOperation("this endpoint only receives: it was made with outbound=False")
        if self._terminated is not None or self.connection_manager.is_terminated:
            raise EndpointTerminated("the endpoint was terminated")
        check_arguments(arguments)
        uri = to_sip_uri(target, self._owner.host)
        via, family = arguments.get("via"), arguments.get("family")
        plan = self._composition.plan(
            "INVITE",
            uri,
            b"",
            None,
            arguments.get("headers", ()),
            arguments.get("from_"),
            self.connection_manager.tokens,
            unsafe_headers=False,
            privacy=arguments.get("privacy"),
        )
        plan.max_forwards = str(arguments.get("max_forwards", 70))
        call_id = arguments.get("call_id")
        if call_id is not None:
            plan.call_id = parse_call_id(call_id)
        self._composition.first_hop(uri, via, plan)
        self.has_sessions()
        # RFC 3261 section 13.2.1, RFC 6086 section 5.2.3: what we take in the session that this may become.
        plan.fields += capability_fields(self.profile)
        plan.fields += reference_fields(arguments.get("replaces"), arguments.get("join"))
        options = CallOptions(
            arguments.get("max_ring", 600.0),
            arguments.get("reliable", "supported"),
            arguments.get("session_timer", _USUAL_TIMER),
            automatic_ack=arguments.get("automatic_ack", True),
            max_redirects=arguments.get("max_redirects", 5),
            max_forks=self.connection_manager.limits.forks,
        )
        calling = Calling(plan, options, via, None if family is None else AddressFamilyHint.named(family))
        session = SignalingSession(self, calling, plan.call_id)
        session.recovery = arguments.get("recovery", Recovery.LIMITED)
        self.connection_manager.sessions.add(session)
        return session

    def invite(
        self, target: str | SipUri | TelUri | RealTimeAddress, offer: Any = None, **arguments: Unpack[CallArguments]
    ) -> Deferred[SignalingSession]:
        """Establish a session with *target*: ``session = await endpoint.invite("sip:bob@b.example", offer)``.

        :param offer: as for :meth:`.SignalingSession.establish`.
        :param arguments: as for :meth:`create_session`.
        :returns: fires with the session when it stands. Cancelling it gives the call up.
        :raises ValueError: and the other errors of :meth:`create_session`.
        :raises TypeError: also when *offer* is none.
        """
        # Before there is a session that nobody could ever end.
        source = source_of(offer)
        return self.create_session(target, **arguments).establish(source)

    def resume_session(
        self,
        text: str,
        *,
        description: Any = None,
        session_timer: SessionTimerSettings | None = None,
        recovery: Recovery | None = None,
    ) -> SignalingSession:
        """Take a session up again that another process has saved with :meth:`.SignalingSession.save` (row H33).

        It stands at once. Its peer is looked for, as after the loss of a connection; ``route_set_changed`` tells when
        it was found, and a peer that has forgotten the session ends it. Whoever restarts a program calls this before
        anybody can connect: a request in a session that is not here yet is answered 481, and ends it.

        :param description: our last offer or answer, as for :meth:`.SignalingSession.establish`: a peer that takes no
            UPDATE is sent it again.
        :param session_timer: what is wanted of the session timer; by default as for sessions of peers.
        :param recovery: what is done when the way to the peer is lost; by default as it was.
        :raises ValueError: when *text* is no saved session of this party.
        :raises InvalidOperation: when the session is here already, or its timer has run out meanwhile.
        :raises EndpointTerminated: when the endpoint was terminated.
        """
        check_thread()
        if self._terminated is not None or self.connection_manager.is_terminated:
            raise EndpointTerminated("the endpoint was terminated")
        self.has_sessions()
        session = SignalingSession(self, None, "")
        settings = session_timer or self.answer_options.session_timer
        last = described(description)
        saving.restore(session, text, settings, time(), recovery=recovery, description=last)
        return session

    def create_subscription(
        self,
        target: str | SipUri | TelUri | RealTimeAddress,
        event: str,
        **arguments: Unpack[SubscribeArguments],
    ) -> Subscription:
        """A subscription that is not asked for yet, for handlers to subscribe to its events;
        :meth:`.Subscription.start` asks for it (rows J1 and J2, RFC 6665 section 4.1).

        :param target: whose state it is for: the Request-URI, and the name that must be proved there.
        :param event: the event package, with its parameters if it has any: ``presence``, ``dialog``.
        :param arguments: see :class:`~sip_p2p.endpoint.subscription.arguments.SubscribeArguments`.
        :raises ValueError: for anything that cannot stand in a request.
        :raises TypeError: for an argument that there is not, or of the wrong type.
        :raises RestrictedHeader: for a header field that the stack sets.
        :raises InvalidOperation: when this endpoint does not send.
        :raises EndpointTerminated: when it was terminated.
        """
        return subscribing.create(self, target, event, arguments)

    def subscribe(
        self,
        target: str | SipUri | TelUri | RealTimeAddress,
        event: str,
        **arguments: Unpack[SubscribeArguments],
    ) -> Deferred[Subscription]:
        """Subscribe to the state of *target*: ``subscription = await endpoint.subscribe("sip:bob@b.example",
        "presence")``.

        :param arguments: as for :meth:`create_subscription`.
        :returns: fires with the subscription at its first notification; fails as :meth:`.Subscription.start` says.
            Cancelling it ends the subscription.
        :raises ValueError: and the other errors of :meth:`create_subscription`.
        """
        return self.create_subscription(target, event, **arguments).start()

    def fetch(
        self,
        target: str | SipUri | TelUri | RealTimeAddress,
        event: str,
        **arguments: Unpack[SubscribeArguments],
    ) -> Deferred[Notification]:
        """Ask for the state of *target* once (row J4, RFC 6665 section 4.4.3).

        :param arguments: as for :meth:`create_subscription`, without ``expires``, ``retry``, ``forked`` and ``queue``.
        :returns: fires with the notification; fails as :meth:`.Subscription.start` says, and never tries again.
        :raises ValueError: and the other errors of :meth:`create_subscription`.
        """
        return subscribing.fetch(self, target, event, arguments)

    def publish(
        self,
        event: str,
        body: str | bytes | Document,
        content_type: str | None = None,
        *,
        target: str | SipUri | TelUri | RealTimeAddress | None = None,
        expires: int = 3600,
        headers: Iterable[tuple[str, str]] = (),
        from_: str | SipUri | None = None,
        via: Target | None = None,
        family: AddressFamilyHint | str | None = None,
    ) -> Deferred[Publication]:
        """Have a compositor keep a state of ours, and tell it to others: ``publication = await
        endpoint.publish("presence", Presence.of("sip:alice@a.example"))`` (row J11, RFC 3903).

        :param event: the event package.
        :param body: octets, text, or a document of :mod:`sip_p2p.documents`, which knows its media type.
        :param target: the resource whose state it is; by default ourselves, at the server of our own domain.
        :param expires: the seconds to ask for; it is refreshed before they have passed, until it is removed.
        :param from_: another From than the owner's, if ``may_impersonate`` allows it (row A16).
        :param via: send it there instead of where *target* leads (row E22).
        :param family: which addresses may be used, and which come first (row E23).
        :returns: fires with the publication when the compositor has it; fails with
            :class:`~sip_p2p.errors.RequestFailed` and what else fails a request. Cancelling it takes it back.
        :raises ValueError: for what cannot be published.
        :raises RestrictedHeader: for a header field that the stack sets.
        :raises InvalidOperation: when this endpoint does not send.
        """
        return publish(self, event, body, content_type, target, expires, headers, from_, via, family)

    def explain(self, target: str | SipUri | TelUri | RealTimeAddress) -> Deferred[list[str]]:
        """Where a request to *target* would go and why, a sentence a line (row E25); nothing is sent.

        :raises ValueError: for what is no target.
        """
        check_thread()
        uri = to_sip_uri(target, self._owner.host)
        hop, through = self._composition.first_hop(uri, None, None)
        manager = self.connection_manager
        said = [f"requests to {uri} go first to {hop!r}"]
        if self.proxy is not None:
            said.append("that is the outbound proxy, and it is the proxy's name that must be proved")
        flow = None if hop.transport is Transport.UDP else manager.pool.find(hop, through)
        if flow is not None:
            said.append(f"a connection is open and would be used without any look-up: {flow!r}")
        if through is not None:
            return succeed([*said, "a client endpoint of the application's own makes the connection"])
        explain = getattr(manager.resolver, "explain", None)
        if explain is None:
            return succeed([*said, f"{type(manager.resolver).__name__} does not say why"])
        found: Deferred[list[str]] = explain(hop)
        return found.addCallback(lambda reasons: said + reasons)


class SipPeerToPeerEndpoint(RealTimeEndpoint):
    """A party that needs no registrar: it listens for its peers, dials them or sends through a proxy, and knows who
    they are.

    Three kinds of application, one class: with listeners and perhaps a proxy it does both; with ``outbound=False`` it
    only receives, and sending raises; without a listener it only sends, and nobody can connect to it.

    :ivar message_received: told of each MESSAGE; its handlers answer it (rows B6 to B9).
    :ivar session_received: told of each session that a peer wants to establish; its handlers decide (row B8).
    :ivar state_changed: told when peers can connect, or cannot any more (row B2).
    :ivar connection_manager: through which it is reached and reaches others.
    :param owner_uri: who it is: ``sip:user@domain``, without a port (row A2).
    :param connection_manager: its listeners, flows and proofs of identity.
    :param default_transport: for targets that name none; by default the manager's own, TLS or TCP.
    :param family: ``all``, ``v4``, ``v6``, ``prefer-v4`` or ``prefer-v6``; by default the manager's (row E23).
    :param proxy: the outbound proxy: ``host``, ``host:port``, ``transport:host:port``; a :class:`ProxyConnector`; or a
        Twisted client endpoint, together with *proxy_tls_name*.
    :param proxy_tls_name: what the proxy's certificate must prove, if not its host name (row A7).
    :param display_name: goes into From (row A13).
    :param default_headers: header fields for every request (row A8).
    :param user_agent: the application's part of User-Agent; an empty string sends no User-Agent (row A14).
    :param outbound: False for an endpoint that only receives (row B5).
    :param catch_all: take requests that name nobody that the manager serves, if no other endpoint does already (row
        G3).
    :param instance_id: ``urn:uuid:...``; give the same after a restart (row A9).
    :param gruu: a globally routable URI to use for Contact (row A10).
    :param application_context: for the application's own use (row A15).
    :param may_impersonate: asked before a request goes out with another From (row A16).
    :param supported: option tags that peers may require, beside those of the stack itself (rows A19, G10).
    :param shares_owner_uri: whether other endpoints of this manager that say the same may have the same owner URI, as
        the devices of one person do. Of those that take its method a request goes to the one that its caller's
        preferences are for (RFC 3841), and of equal ones to the first.
    :param answer_options: how INVITEs are answered: how long they may ring, reliable responses, session timers.
    :param session_methods: the methods beside the session's own that peers are told may be sent within sessions.
    :param info_packages: the Info Packages whose INFOs may be sent within sessions (RFC 6086).
    :param packages: the first event packages of :attr:`packages` (row J9, RFC 6665).
    :param replaces_policy: says who, beside the party that a session is with, may take its place or join it: it is
        given a :class:`~.replacing.Replacement`, and what is not ``True`` is a no (row I9).
    :param message_received: a first handler for :attr:`message_received` (row M9).
    :param session_received: a first handler for :attr:`session_received`.
    :param handlers: handlers by method, as for :meth:`handle` (row M9).
    :param credentials: with what it answers peers that ask for a name and a password (row F10).
    :param authenticator: asks peers for a name and a password before anything of their requests is looked at: a
        :class:`DigestAuthenticator`, or one of the application's own.
    :param trusted_identities: the names, as certificates prove them, of peers whose P-Asserted-Identity is believed,
        and who are sent ours (RFC 3325); nobody by default.
    :param passport_signer: signs requests (RFC 8224); None signs none.
    :param passport_verifier: judges the signatures of peers' requests; None judges none.
    :raises ValueError: for an owner URI with a port, or one that the manager serves already; for a wrong proxy, header
        or name.
    :raises EndpointTerminated: when the manager has been terminated.
    """
