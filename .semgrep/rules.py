# Examples for `semgrep --test`: what each rule finds, and what it lets pass. Nothing imports or runs this file.
import hashlib, http.client, httpx, jinja2, joblib, marshal, numpy, os, pandas, pickle, random, requests, secrets, shelve
import shutil, socket, ssl, subprocess, tempfile, torch, urllib.request, uuid, xml.etree.ElementTree, yaml
from pathlib import Path

import defusedxml.ElementTree

from pizzeria import atomic


def reading(path: Path, stream, text):
    # ruleid: pickle
    pickle.loads(text)
    # ruleid: pickle
    marshal.load(stream)
    # ruleid: pickle
    shelve.open(text)
    # ruleid: pickle
    joblib.load(path)
    # ruleid: pickle
    pandas.read_pickle(path)
    # ruleid: pickle
    numpy.load(path, allow_pickle=True)
    # ok: pickle
    numpy.load(path)
    # ruleid: torch-load
    torch.load(path)
    # ruleid: torch-load
    torch.load(path, weights_only=False)
    # ok: torch-load
    torch.load(path, weights_only=True)
    # ruleid: yaml-load
    yaml.load(text)
    # ruleid: yaml-load
    yaml.load(text, Loader=yaml.FullLoader)
    # ok: yaml-load
    yaml.load(text, Loader=yaml.CSafeLoader)
    # ok: yaml-load
    yaml.safe_load(text)
    # ruleid: plain-xml
    xml.etree.ElementTree.parse(path)
    # ok: plain-xml
    defusedxml.ElementTree.parse(path)


def running(name, text):
    # ruleid: code-from-text
    eval(text)
    # ruleid: code-from-text
    exec(text)
    # ruleid: shell
    os.system(f"ls {name}")
    # ruleid: shell
    subprocess.run(f"ls {name}", shell=True)
    # ruleid: shell
    subprocess.Popen("ls")
    # ok: shell
    subprocess.run(["ls", name])
    # ruleid: broad-kill
    subprocess.run(["pkill", "-f", name])
    # ok: broad-kill
    os.kill(1234, 15)


def unpacking(archive, folder, path):
    # ruleid: extract
    archive.extractall(folder)
    # ruleid: extract
    shutil.unpack_archive(path, folder)
    # ok: extract
    archive.read("a.txt")
    # ruleid: mktemp
    tempfile.mktemp()
    # ok: mktemp
    tempfile.mkstemp()


def asking(url, address):
    # ruleid: no-timeout
    requests.get(url)
    # ok: no-timeout
    requests.get(url, timeout=5)
    # ruleid: no-timeout
    urllib.request.urlopen(url)
    # ok: no-timeout
    urllib.request.urlopen(url, timeout=5)
    # ruleid: no-timeout
    socket.create_connection(address)
    # ok: no-timeout
    socket.create_connection(address, 5)
    # ruleid: no-timeout
    http.client.HTTPSConnection(address)
    # ruleid: no-timeout
    httpx.get(url, timeout=None)
    # ruleid: unverified-tls
    httpx.get(url, verify=False)
    # ok: unverified-tls
    httpx.get(url, verify="authority.pem")
    context = ssl.create_default_context()
    # ruleid: unverified-tls
    context.check_hostname = False
    # ruleid: unverified-tls
    context.verify_mode = ssl.CERT_NONE
    # ruleid: calls-home
    httpx.post("https://usage.example.com/events", timeout=5)
    # ok: calls-home
    httpx.get("http://127.0.0.1:3000/readyz", timeout=5)
    # ok: calls-home
    httpx.get(url, timeout=5)


def secrets_of(given, password, expected, data):
    # ruleid: guessable-secret
    token = random.getrandbits(128)
    # ruleid: guessable-secret
    salt = uuid.uuid1()
    # ok: guessable-secret
    token = secrets.token_urlsafe(32)
    # ok: guessable-secret
    order = random.random()
    # ruleid: timed-comparison
    if given == password:
        return token
    # ok: timed-comparison
    if secrets.compare_digest(given, password):
        return salt
    # ok: timed-comparison
    if password == "":
        return order
    # ruleid: weak-hash
    hashlib.md5(data)
    # ok: weak-hash
    hashlib.md5(data, usedforsecurity=False)
    # ok: weak-hash
    return hashlib.sha256(data)


def answering(connection, name, folder: Path):
    # ruleid: no-autoescape
    jinja2.Environment(loader=None)
    # ok: no-autoescape
    jinja2.Environment(loader=None, autoescape=True)
    # ruleid: sql-from-values
    connection.execute("select * from runs where name = '%s'" % name)
    # ruleid: sql-from-values
    connection.execute("select * from runs where name = '{}'".format(name))
    # ok: sql-from-values
    connection.execute("select * from runs where name = ?", (name,))
    # ruleid: open-permissions
    folder.chmod(0o777)
    # ruleid: open-permissions
    os.chmod(folder, 0o666)
    # ok: open-permissions
    folder.chmod(0o755)


def writing(path: Path, data: bytes):
    # ruleid: half-written
    path.write_bytes(data)
    # ruleid: half-written
    open(path, "wb")
    # ok: half-written
    atomic.write_bytes(path, data)
    # ok: half-written
    open(path, "rb")


def checking(rows, count):
    # ruleid: asserted-input
    assert len(rows) == 3
    # ruleid: asserted-input
    assert isinstance(count, int)
    found = sum(rows)
    # ok: asserted-input
    assert found is not None
    return found
