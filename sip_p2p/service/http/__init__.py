"""The HTTP API of the service: what ``--http`` opens, to steer a running party and to see into it.

Everything is made from one table of routes (:mod:`.table`): what is dispatched, what is checked before a handler sees
it, and the OpenAPI document. Start at :mod:`.server`; ``docs/http.rst`` has it from the outside.

==================  ================================================================================================
module              what
==================  ================================================================================================
``server``          the part of the service that listens, and what its handlers reach
``listening``       ``--http``: where it listens, and why some places are refused
``access``          who may ask: tokens, and the rules that keep web pages of others out (Host, Origin, Sec-Fetch)
``channel``         HTTP/1.1 on twisted.web, with bounds on size, time and number
``exchange``        one request and its answer, from the table to the octets
``routes``          what a route is, and how one is found
``table``           all of them
``schemas``         the part of JSON Schema by which requests are checked and the document is written
``table_parts``     what its rows have in common
``life_table``      its rows for what lives on beside sessions
``shapes``          what the objects of the API look like
``shape_parts``     what they are made of
``life_shapes``     those of what lives on beside sessions
``openapi``         the OpenAPI document
``problems``        every error, as RFC 9457 has them
``streams``         server-sent events, and what becomes of who does not read them
``party``           the service, its flows, identities, certificates and failed handshakes
``messages``        requests that are sent, and what became of them
``sessions``        sessions: begun, answered, changed and ended
``books``           pages of what lives on beside sessions, and waiting for one of it
``subscriptions``   subscriptions, ours and those of peers
``publications``    what we publish at a server, and our own presence
``mailbox``         what waits for us
``referrals``       REFERs of both sides, and transfers of sessions
``registrations``   where we are registered
``outbox``          messages that are kept until they are delivered
``descriptions``    responses, session descriptions and bodies as JSON, without credentials
``insight``         events, traces and metrics
``operation``       health, reload and drain
``doctor``          the doctor, as jobs
``waiting``         an outcome, and who waits for it (``Prefer: wait``)
``idempotency``     a request that is sent twice has one effect
``console``         the files of the web console
==================  ================================================================================================
"""
