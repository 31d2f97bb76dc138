"""What sip_p2p costs, beside a floor and beside Kamailio, measured in the same run.

``python -m benchmarks`` (or ``make bench``) prints every table; each table has a module of its own that runs alone:

====================  ===========================================================================================
module                what it measures
====================  ===========================================================================================
``exchange``          MESSAGE request to 200 over mutual TLS, TCP and UDP: CPU of the server, throughput, latency
``calls``             calls set up and taken down: CPU of the called and of the calling side
``dialogs``           established dialogs, growth over many calls
``parse``             parse, serialise and frame, in this process
``transactions``      each of the four transactions through the layer, in this process
``memory``            idle connections, live and finished transactions, growth over many transactions
====================  ===========================================================================================

``floor``, ``server`` and ``kamailio`` are the three servers, ``load`` is the load generator, ``sender`` and
``floor_caller`` are the two that call: each a process of its own.
README.rst explains the figures.
"""
