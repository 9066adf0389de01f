"""One worker: the HTTP server, the Engine.IO transport and its limits."""

from .engine import Engine
from .engine_socket import EngineSocket
from .extension import make_socketio
from .frame import Frame
from .limits import ServingLimits
from .origins import OriginPolicy, origin_allowed
from .socketio_server import SocketServer
from .worker import Worker

__all__ = [
    "Engine",
    "EngineSocket",
    "Frame",
    "OriginPolicy",
    "ServingLimits",
    "SocketServer",
    "Worker",
    "make_socketio",
    "origin_allowed",
]
