"""Where messages about incidents go: a webhook, Slack, e-mail, a file, standard output."""
