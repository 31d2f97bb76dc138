"""Where to listen: endpoint descriptions, what they become, and whose sockets and headers they rely on.

Start with :mod:`~sip_p2p.transport.listening.descriptions`.

====================  ============================================================
module                what
====================  ============================================================
``descriptions``      what can be listened on, in one line of text
``description_text``  its quoting
``endpoints``         what a description becomes
``tls_layer``         the same with TLS
``settings``          what one listener says for itself, and what its manager says
``inherited``         sockets from systemd
``proxied``           the PROXY header of a load balancer
====================  ============================================================
"""
