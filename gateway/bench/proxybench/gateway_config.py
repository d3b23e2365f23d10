"""The gateway's configurations: with the stack off, with all of it, and with one layer at a time."""

# What each layer adds to the upstream, and to the rest of the file. The limits are never reached: what is measured is what a
# guard costs when all is well. Metrics cannot be switched off, so they are in all of them.
LAYERS = {
    "bulkhead": ("bulkhead = { max_concurrent = 4096 }", ""),
    "breaker": ("breaker = { failure_rate = { window = 100, threshold = 0.5, minimum_calls = 20 } }", ""),
    "time-outs": ('timeout = "10s"\nbody_idle_timeout = "10s"\ntotal_timeout = "30s"', ""),
    "retry budget": ("retry = { attempts = 2, budget = { ratio = 0.2, per_second = 10 } }", ""),
    "P2C": ('balancer = "p2c_ewma"', ""),
    "ejection": ("ejection = { consecutive_failures = 5 }", ""),
    "request id": ("", "request_id = true"),
}
ALL = tuple(LAYERS)

def write(path, listen, ops, endpoints, workers, layers):
    """Writes the configuration with these layers. With P2C there are two endpoints, or there would be nothing to choose."""
    used = endpoints if "P2C" in layers else endpoints[:1]
    urls = ", ".join(f'"http://{endpoint}"' for endpoint in used)
    balancer = [] if "P2C" in layers else ['balancer = "round_robin"']
    upstream = "\n".join([f"endpoints = [{urls}]", *balancer, *filter(None, (LAYERS[layer][0] for layer in layers))])
    forwarding = "\n".join(filter(None, (LAYERS[layer][1] for layer in layers))) or "request_id = false"
    path.write_text(
        f"""listen = "{listen}"
max_body = "1GiB"
workers = {workers}

[ops]
listen = "{ops}"

[log]
level = "error"

[access_log]
enabled = false

[forwarding]
{forwarding}

[upstreams.bench]
# As the others': no connection is closed for want of room.
pool_max_idle = 2048
{upstream}

[[route]]
path = "/"
upstream = "bench"

[[route]]
path = "/bytes/{{size}}"
upstream = "bench"
"""
    )
