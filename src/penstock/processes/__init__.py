"""The processes of `penstock up`: supervisor, server, gateway and worker, and what wires them."""
