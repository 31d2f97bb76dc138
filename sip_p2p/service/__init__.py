"""What runs without writing code: ``twistd sip-p2p``, the service, and ``sip-p2p``, the command.

Both read the same options and build the same party; whoever writes a program uses :mod:`sip_p2p.endpoint` instead.

===============  ================================================================================================
module           what
===============  ================================================================================================
``options``      the options that both share, and those of the service; each mistake has one clear line
``party``        a connection manager and an endpoint made from options
``service``      the Twisted service: start, listen, drain, stop; what the plugin for ``twistd`` points to
``application``  what the service does with what arrives: log it, echo it, or hand it to a class of the user's own
``check``        ``--check``: everything looked at and explained, nothing bound
``state``        what is kept between two runs: the instance id
``cli``          the ``sip-p2p`` command and its exit codes
``sending``      its ``send``, ``options`` and ``request``
``keys``         its ``pki``
``drawing``      its ``ladder``
``demo``         its ``demo``
``words``        each failure in words, with what to do about it
===============  ================================================================================================
"""
