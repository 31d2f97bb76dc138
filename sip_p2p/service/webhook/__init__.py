"""Webhooks: what comes in by SIP is POSTed as JSON to a program of the user's, whose answer becomes ours.

The promise: no request is answered 2xx before the hook has accepted it. Whatever else the hook does has its own stated
answer, in :mod:`.failure`; nothing that the hook has accepted is lost.

==================  ================================================================================================
module              what
==================  ================================================================================================
``signature``       how a delivery is signed, and verified by whoever gets it; values only
``payload``         what a delivery says; values only
``permission``   who may watch us, and what becomes of a REFER, as the hook says it
``decision``        what the hook's answer means; values only
``permission``      what it means for who wants to watch us, and for a REFER; values only
``failure``         every way in which a hook can fail, and what becomes of the request then
``breaker``         a hook that is dead is left alone for a while; values and a time
``poster``          one POST: bounded, never redirected, its failures told apart
``questions``       a request that waits for the hook's answer: tried again, but not for ever
``figures``         what has become of the deliveries, for Prometheus
``outbox``          events that the hook is told of: in order, tried again, counted when lost
``deliverer``       all of it together, beside the party
``application``     the application ``webhook``
``sessions``        a session that the hook decides about
==================  ================================================================================================
"""
