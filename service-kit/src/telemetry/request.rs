//! What is noted about every request: trace context, one log event, count and latency.
