"""What pages read beside the services: the gateway, the last hour, long histories."""
