"""forge-widgets beside JupyterHub: a server of its own behind the hub's proxy, for trainings that run outside of the hub.

Append this to your jupyterhub_config.py. Each user's own notebooks need none of it: the server extension that came with
`pip install forge-widgets` serves them under /user/NAME/forge/.

The hub starts the server, starts it again if it ends, and leads /services/forge/ to it. Who may see is not the hub's
business: the server asks for a token of its own, /etc/forge-widgets/token.
"""

c = get_config()  # noqa: F821 - the hub provides it

c.JupyterHub.services.append(
    {
        "name": "forge",
        "url": "http://127.0.0.1:8001",
        "display": False,  # a link in the hub's menu would lead to a page that asks for the token
        "command": [
            "/opt/forge-widgets/bin/forge-widgets",
            "serve",
            "--port=8001",
            "--base-url=/services/forge/",
            "--store=/var/lib/forge-widgets",
            "--token-file=/etc/forge-widgets/token",
            "--allow-host=hub.example.org",
            "--trust-proxy=127.0.0.1",
            "--log-format=json",
        ],
    }
)
