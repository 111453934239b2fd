"""The data path: identify, inspect, allow or hold, release, forward, record. Start reading at `gateway.proxy`."""
