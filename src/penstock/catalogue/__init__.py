"""The one list of services and their routes: `app` builds, `remote` proxies and `server` publishes them."""
