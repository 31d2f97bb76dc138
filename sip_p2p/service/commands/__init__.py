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
``sending``          ``send``, ``options`` and ``request``
``showing``          ``show`` and ``control``
``trace_source``     where ``ladder`` and ``trace`` get what they show
``tracing``          ``trace``
===================  ===================================================================================================
"""
