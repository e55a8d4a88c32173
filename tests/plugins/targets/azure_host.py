"""A host of Azure Functions for tests: HTTP in front, and Azure's own Python worker library behind it, in one process.

`python -S azure_host.py APP_FOLDER PORT`, with the platform's packages (azure-functions-runtime, protobuf) on
PYTHONPATH. The app's own packages come first, as on Azure. What is real: the worker's indexing of `function_app.py`,
its conversion of protobuf messages to requests and of answers to messages, and how it calls functions. What is not:
Azure's host, which is a program in .NET that talks to the worker over gRPC; here its messages are made and read in the
same process. Their fields are those of FunctionRpc.proto that the worker library uses.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

_MESSAGES = """
StatusResult status:Status exception:RpcException result:string
RpcException source:string stack_trace:string message:string
WorkerInitRequest host_version:string capabilities:map worker_directory:string function_app_directory:string
WorkerMetadata runtime_name:string runtime_version:string worker_version:string worker_bitness:string \
custom_properties:map
WorkerInitResponse worker_version:string capabilities:map result:StatusResult worker_metadata:WorkerMetadata
BindingInfo type:string direction:Direction data_type:DataType properties:map
RpcRetryOptions max_retry_count:int32
RpcFunctionMetadata name:string directory:string script_file:string entry_point:string bindings:bindings is_proxy:bool \
status:StatusResult language:string raw_bindings:strings function_id:string managed_dependency_enabled:bool \
retry_options:RpcRetryOptions properties:map
FunctionMetadataResponse function_metadata_results:metadata result:StatusResult use_default_metadata_indexing:bool
FunctionLoadRequest function_id:string metadata:RpcFunctionMetadata
FunctionLoadResponse function_id:string result:StatusResult
RpcTraceContext trace_parent:string trace_state:string attributes:map
RetryContext retry_count:int32 max_retry_count:int32 exception:RpcException
RpcHttp method:string url:string headers:map body:TypedData params:map status_code:string query:map \
enable_content_negotiation:bool cookies:strings
TypedData *string:string *json:string *bytes:bytes *http:RpcHttp *int:int64 *double:double
ParameterBinding name:string *data:TypedData
InvocationRequest invocation_id:string function_id:string input_data:inputs trigger_metadata:typed \
trace_context:RpcTraceContext retry_context:RetryContext
InvocationResponse invocation_id:string output_data:inputs return_value:TypedData result:StatusResult
StreamingMessage worker_init_request:WorkerInitRequest function_load_request:FunctionLoadRequest \
invocation_request:InvocationRequest functions_metadata_request:StatusResult
"""
_ENUMS = {
    "Status": (("Failure", 0), ("Success", 1), ("Cancelled", 2)),
    "Direction": (("in", 0), ("out", 1), ("inout", 2)),
    "DataType": (("undefined", 0), ("string_", 1), ("binary", 2), ("stream", 3)),
}
_MAPS = {"map": "string", "bindings": "BindingInfo", "typed": "TypedData"}
_LISTS = {"strings": "string", "metadata": "RpcFunctionMetadata", "inputs": "ParameterBinding"}


def protos() -> SimpleNamespace:
    """The classes of the messages, made by protobuf from the table above."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": kinds.TYPE_STRING,
        "bytes": kinds.TYPE_BYTES,
        "bool": kinds.TYPE_BOOL,
        "int32": kinds.TYPE_INT32,
        "int64": kinds.TYPE_INT64,
        "double": kinds.TYPE_DOUBLE,
    }
    file = descriptor_pb2.FileDescriptorProto(name="rpc.proto", package="rpc", syntax="proto3")

    def fill(field: Any, kind: str) -> None:
        if kind in scalars:
            field.type = scalars[kind]
        elif kind in _ENUMS:
            field.type, field.type_name = kinds.TYPE_ENUM, f".rpc.{_OWNERS[kind]}.{kind}"
        else:
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".rpc.{kind}"

    for line in _MESSAGES.strip().splitlines():
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for enum, owner in _OWNERS.items():
            if owner == name:
                values = message.enum_type.add(name=enum).value
                for label, number in _ENUMS[enum]:
                    values.add(name=label, number=number)
        if any(field.startswith("*") for field in fields):
            message.oneof_decl.add(name="data" if name == "TypedData" else "rpc_data")
        for number, text in enumerate(fields, 1):
            label, kind = text.lstrip("*").split(":")
            field = message.field.add(name=label, number=number, label=kinds.LABEL_OPTIONAL)
            if text.startswith("*"):
                field.oneof_index = 0
            if kind in _MAPS:
                entry = message.nested_type.add(name="".join(map(str.capitalize, label.split("_"))) + "Entry")
                entry.options.map_entry = True
                fill(entry.field.add(name="key", number=1, label=kinds.LABEL_OPTIONAL), "string")
                fill(entry.field.add(name="value", number=2, label=kinds.LABEL_OPTIONAL), _MAPS[kind])
                field.label, field.type = kinds.LABEL_REPEATED, kinds.TYPE_MESSAGE
                field.type_name = f".rpc.{name}.{entry.name}"
            elif kind in _LISTS:
                field.label = kinds.LABEL_REPEATED
                fill(field, _LISTS[kind])
            else:
                fill(field, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = [one.name for one in file.message_type]
    return SimpleNamespace(
        **{name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"rpc.{name}")) for name in names}
    )


_OWNERS = {"Status": "StatusResult", "Direction": "BindingInfo", "DataType": "BindingInfo"}


class Host:
    """Starts the worker library on an app, and calls its functions."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.protos = protos()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.functions: dict[str, Any] = {}

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def start(self) -> None:
        from azure_functions_runtime import functions_metadata_request, worker_init_request

        rpc = self.protos
        message = rpc.StreamingMessage(worker_init_request=rpc.WorkerInitRequest(function_app_directory=self.folder))
        answer = self._call(worker_init_request(self._event(message)))
        if answer.result.status != rpc.StatusResult.Success:
            sys.exit(
                f"the worker cannot start: {answer.result.exception.message}\n{answer.result.exception.stack_trace}"
            )
        metadata = self._call(functions_metadata_request(self._event(rpc.StreamingMessage())))
        self.functions = {one.name: one for one in metadata.function_metadata_results}

    def _event(self, message: Any) -> Any:
        sent = self.protos.StreamingMessage.FromString(message.SerializeToString())
        return SimpleNamespace(request=sent, properties={"host": "127.0.0.1", "protos": self.protos})

    def invoke(self, name: str, parameter: str, data: Any) -> Any:
        from azure_functions_runtime import invocation_request

        rpc = self.protos
        request = rpc.InvocationRequest(
            invocation_id=str(uuid.uuid4()),
            function_id=self.functions[name].function_id,
            input_data=[rpc.ParameterBinding(name=parameter, data=data)],
        )
        answer = self._call(invocation_request(self._event(rpc.StreamingMessage(invocation_request=request))))
        answer = rpc.InvocationResponse.FromString(answer.SerializeToString())
        if answer.result.status != rpc.StatusResult.Success:
            raise RuntimeError(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")
        return answer

    def binding(self, kind: str) -> tuple[str, dict[str, Any]]:
        """The first function with a trigger of that kind, and the trigger."""
        for name, one in self.functions.items():
            for raw in map(json.loads, one.raw_bindings):
                if raw["type"] == kind:
                    return name, raw
        raise LookupError(kind)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: Host

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        try:
            status, headers, content = self._timer(path) if path.startswith("/admin/") else self._http(body)
        except Exception as error:  # as Azure's host does it
            print(error, file=sys.stderr, flush=True)
            status, headers, content = 500, {}, b""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _http(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        rpc = self.host.protos
        name, trigger = self.host.binding("httpTrigger")
        if trigger["authLevel"].upper() != "ANONYMOUS" and self.headers.get("x-functions-key") != "azure-key":
            return 401, {}, b""
        if self.command not in [method.upper() for method in trigger["methods"]]:
            return 404, {}, b""
        url = urlsplit(self.path)
        http = rpc.RpcHttp(
            method=self.command,
            url=f"http://{self.headers['Host']}{self.path}",
            headers={key: ", ".join(self.headers.get_all(key, [])) for key in self.headers},
            params={"route": url.path.lstrip("/")},
            body=rpc.TypedData(bytes=body) if body else None,
        )
        answer = self.host.invoke(name, trigger["name"], rpc.TypedData(http=http)).return_value
        assert answer.WhichOneof("data") == "http", answer
        found = answer.http.body
        content = found.bytes if found.WhichOneof("data") == "bytes" else found.string.encode()
        return int(answer.http.status_code), dict(answer.http.headers), content

    def _timer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        name = path.rpartition("/")[2]
        if name == "functions":
            raw = {key: [json.loads(one) for one in value.raw_bindings] for key, value in self.host.functions.items()}
            return 200, {}, json.dumps(raw).encode()
        trigger = json.loads(self.host.functions[name].raw_bindings[0])
        told = json.dumps({"ScheduleStatus": None, "IsPastDue": False, "Schedule": {"AdjustForDST": True}})
        self.host.invoke(name, trigger["name"], self.host.protos.TypedData(json=told))
        return 202, {}, b""

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = _answer


def main() -> None:
    folder, port = sys.argv[1], int(sys.argv[2])
    sys.path[:0] = [f"{folder}/.python_packages/lib/site-packages"]
    sys.path.remove(str(Path(__file__).resolve().parent))
    sys.path.append(folder)
    os.chdir(folder)
    assert json.loads(Path("host.json").read_text())["extensions"]["http"]["routePrefix"] == ""
    host = Handler.host = Host(folder)
    host.start()
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
