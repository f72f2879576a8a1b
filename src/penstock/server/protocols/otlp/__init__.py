"""OpenTelemetry's protocol for traces, over HTTP as protobuf or JSON."""
