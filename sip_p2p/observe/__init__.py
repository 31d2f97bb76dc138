"""What went over the wire, kept and shown: a trace of the flows and the ladder that is drawn from it.

Nothing here is needed to speak SIP, and nothing below imports it: a :class:`~sip_p2p.observe.trace.Tap` is handed to a
connection manager with ``manager.add_tap(tap)``, and without one the driver does no work for it.

Start with :mod:`~sip_p2p.observe.trace`.

================  =====================================================================
module            what
================  =====================================================================
``trace``         the tap, its ring in memory, JSON lines in a file, and their reader
``recorder``      what went over each flow lately, asked and followed while it runs
``transactions``  what was asked and answered, and how long that took
``metrics``       all figures, as Prometheus reads them
``spans``         transactions as spans, for OpenTelemetry
``export``        a tap for what takes events as they happen: the next two
``pcapng``        messages as packets, in a file for Wireshark
``hep``           messages for a Homer server
``keylog``        the keys of TLS connections, in a file for Wireshark
``private_file``  what all of this is written to
``redact``        what is taken out of a message before anybody sees it
``ladder``        events in, a text ladder out
``text``          a peer's text made safe for a log line or a terminal
================  =====================================================================
"""
