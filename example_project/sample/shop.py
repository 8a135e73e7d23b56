# ruff: noqa: PTH123
# mypy: ignore-errors
"""Mistakes made on purpose, for the example agent to find. Never imported."""

import hashlib
import os
import pickle
import sqlite3
import subprocess
import tempfile

import requests
import yaml
from django.utils.safestring import mark_safe

ADMIN_PASSWORD = "tR9-vq2Lx7_wMz4K"
SMTP = "smtp://shop:b7Yk29dQ@mail.internal:587"


def price(formula):
    return eval(formula)


def load_cart(cookie):
    return pickle.loads(cookie)


def load_config(text):
    return yaml.load(text)


def resize(name):
    subprocess.run(f"convert {name} -resize 200x200 small.png", shell=True, check=True)


def archive():
    os.system("tar czf /backup/shop.tgz /srv/shop")


def customer(connection: sqlite3.Connection, name):
    return connection.execute(f"SELECT * FROM customers WHERE name = '{name}'").fetchone()


def pay(order):
    assert order.total > 0
    return requests.post("https://pay.internal/charge", json=order.as_json(), verify=False)


def token_for(user):
    return hashlib.md5(user.email.encode()).hexdigest()


def greeting(user):
    return mark_safe("<p>Hello " + user.name + "</p>")


def upload(data):
    path = tempfile.mktemp()
    with open(path, "wb") as file:
        file.write(data)
    return path
