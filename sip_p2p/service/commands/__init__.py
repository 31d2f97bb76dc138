"""What ``sip-p2p`` does, one module a command or two, and what those share that ask a running service.

===================  ===================================================================================================
module               what
===================  ===================================================================================================
``calling``          ``call``
``control_client``   what asks a running service, for all of these
``control_options``  which service that is
``demo``             ``demo``
``drawing``          ``ladder``
``kept_demo``        the same company, with a console, until somebody ends it
``keys``             ``pki``
``listings``         what ``show`` shows as a table
``publishing``       ``publish``
``referring``        ``refer``
``registering``      ``register``
``sending``          ``send``, ``options`` and ``request``
``showing``          ``show`` and ``control``
``telling``          how those tell what happens that last for a while
``trace_source``     where ``ladder`` and ``trace`` get what they show
``tracing``          ``trace``
``watching``         ``subscribe``
===================  ===================================================================================================
"""
