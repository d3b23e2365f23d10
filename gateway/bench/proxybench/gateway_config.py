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

# The gateway as it is before issue 5's data plane knows fewer keys.
BEFORE = {"bulkhead": LAYERS["bulkhead"][0], "breaker": LAYERS["breaker"][0], "time-outs": 'timeout = "10s"'}


def write(path, listen, ops, endpoints, workers, layers, is_before):
    """Writes the configuration with these layers. With P2C there are two endpoints, or there would be nothing to choose."""
    if is_before:
        upstream = "\n".join([f'url = "http://{endpoints[0]}"', *(BEFORE.get(layer, "") for layer in layers)])
        root, forwarding = "", ""
    else:
        used = endpoints if "P2C" in layers else endpoints[:1]
        urls = ", ".join(f'"http://{endpoint}"' for endpoint in used)
        balancer = [] if "P2C" in layers else ['balancer = "round_robin"']
        upstream = "\n".join([f"endpoints = [{urls}]", *balancer, *(LAYERS[layer][0] for layer in layers)])
        root = f"workers = {workers}\n"
        forwarding = f"[access_log]\nenabled = false\n\n[forwarding]\nrequest_id = {str('request id' in layers).lower()}\n"
    path.write_text(
        f"""listen = "{listen}"
max_body = "1GiB"
{root}
[ops]
listen = "{ops}"

[log]
level = "error"

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
