"""The proxies, each as its documentation would have it for this work: keep-alive on both sides, no access log."""

from dataclasses import dataclass

from . import gateway_config, machine
from .process import Process, free_ports

NGINX = "nginx"
HAPROXY = "haproxy"
PINGORA = "pingora"
PLAIN = "gateway-plain"
FULL = "gateway-full"
ALL = (NGINX, HAPROXY, PINGORA, PLAIN, FULL)


@dataclass
class Proxy:
    """A running proxy, and where it listens. HTTP/2 with prior knowledge has a port of its own with nginx and HAProxy."""

    name: str
    process: Process
    port: int
    h2_port: int


@dataclass(frozen=True)
class Place:
    """Where the proxies of one run live: their files, the upstream's two addresses, and their processors (`None`: all)."""

    directory: object
    endpoints: tuple
    workers: int
    cpus: object = None


def start(name, place, prefix=(), layers=None, single_process=False):
    """Starts a proxy and waits until it listens. `prefix` is put before its command: valgrind, for one."""
    port, h2_port, ops = free_ports(3)
    if name == NGINX:
        command = nginx(place, port, h2_port, single_process)
    elif name == HAPROXY:
        command = haproxy(place, port, h2_port)
    elif name == PINGORA:
        command, h2_port = [machine.PINGORA, f"127.0.0.1:{port}", place.endpoints[0], place.workers], None
    else:
        command, h2_port = gateway(name, place, port, ops, layers), port
    process = Process(name, [*prefix, *command], place.directory, place.cpus)
    process.wait_until_listening(port, within=60 if prefix else 30)
    return Proxy(name, process, port, h2_port)


def start_upstream(directory, cpus=None, threads=1):
    """Starts the upstream; returns it and its two addresses."""
    (port,) = free_ports(1)
    endpoints = (f"127.0.0.1:{port}", f"127.0.0.2:{port}")
    upstream = Process("upstream", [machine.UPSTREAM, ",".join(endpoints), threads], directory, cpus)
    upstream.wait_until_listening(port)
    return upstream, endpoints


def gateway(name, place, port, ops, layers):
    """Ours, with the stack that its name says or these layers of it."""
    if layers is None:
        layers = gateway_config.ALL if name == FULL else ()
    path = place.directory / f"{name}.toml"
    listen, ops = f"127.0.0.1:{port}", f"127.0.0.1:{ops}"
    gateway_config.write(path, listen, ops, place.endpoints, place.workers, layers)
    return [machine.GATEWAY, "--config", path]


def nginx(place, port, h2_port, single_process):
    """nginx's plain `proxy_pass`. Large bodies are streamed through memory: stock nginx would spill them to disk."""
    path = place.directory / "nginx.conf"
    path.write_text(
        f"""daemon off;
master_process {"off" if single_process else "on"};
worker_processes {place.workers};
user root;
pid {place.directory}/nginx.pid;
error_log stderr error;

events {{
    worker_connections 8192;
}}

http {{
    access_log off;
    server_tokens off;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path {place.directory}/nginx-body;
    proxy_temp_path {place.directory}/nginx-proxy;
    client_max_body_size 0;

    upstream bench {{
        server {place.endpoints[0]};
        keepalive 2048;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}

    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{h2_port} http2;

        location / {{
            proxy_pass http://bench;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}

        location /bytes/ {{
            proxy_pass http://bench;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
        }}
    }}
}}
"""
    )
    return [machine.which("nginx"), "-p", place.directory, "-c", path]


def haproxy(place, port, h2_port):
    """HAProxy, with connections to the upstream shared by all clients."""
    path = place.directory / "haproxy.cfg"
    path.write_text(
        f"""global
    nbthread {place.workers}
    maxconn 8192

defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always

frontend bench
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{h2_port} proto h2
    default_backend upstream

backend upstream
    server one {place.endpoints[0]}
"""
    )
    return [machine.which("haproxy"), "-db", "-f", path]
