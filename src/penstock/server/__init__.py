"""The HTTP application: the API from the route table, blobs, live events and the web pages."""
