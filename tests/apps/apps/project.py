# A Django project in one file: its admin site, for things that have a name and a file, in SQLite. Prints the port that it got.

import os
import socketserver
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

DIRECTORY = Path(sys.argv[1])

settings.configure(
    # Besides its own address it answers to no host that it is not told.
    ALLOWED_HOSTS=['127.0.0.1', '.p2p.localhost'],
    SECRET_KEY='secret',
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        'django.contrib.admin',
        'django.contrib.auth',
        'django.contrib.contenttypes',
        'django.contrib.messages',
        'django.contrib.sessions',
        'django.contrib.staticfiles',
    ],
    MIDDLEWARE=[
        'django.middleware.security.SecurityMiddleware',
        'django.contrib.sessions.middleware.SessionMiddleware',
        'django.middleware.common.CommonMiddleware',
        'django.middleware.csrf.CsrfViewMiddleware',
        'django.contrib.auth.middleware.AuthenticationMiddleware',
        'django.contrib.messages.middleware.MessageMiddleware',
        'django.middleware.clickjacking.XFrameOptionsMiddleware',
        'django.middleware.gzip.GZipMiddleware',
    ],
    TEMPLATES=[
        {
            'BACKEND': 'django.template.backends.django.DjangoTemplates',
            'APP_DIRS': True,
            'OPTIONS': {
                'context_processors': [
                    'django.template.context_processors.request',
                    'django.contrib.auth.context_processors.auth',
                    'django.contrib.messages.context_processors.messages',
                ]
            },
        }
    ],
    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': DIRECTORY / 'database'}},
    MEDIA_ROOT=DIRECTORY / 'media',
    MEDIA_URL='/media/',
    STATIC_URL='/static/',
)
django.setup()

from django.contrib import admin
from django.db import connection, models
from django.urls import path, re_path
from django.views.static import serve


class Thing(models.Model):
    name = models.CharField(max_length=100)
    file = models.FileField()

    class Meta:
        app_label = 'admin'

    def __str__(self):
        return self.name


admin.site.register(Thing)

urlpatterns = [
    path('admin/', admin.site.urls),
    re_path('^media/(?P<path>.*)$', serve, {'document_root': settings.MEDIA_ROOT}),
]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


call_command('migrate', verbosity=0)
with connection.schema_editor() as editor:
    editor.create_model(Thing)
os.environ['DJANGO_SUPERUSER_PASSWORD'] = 'secret'
call_command('createsuperuser', interactive=False, username='ada', email='ada@example.com', verbosity=0)
application = StaticFilesHandler(get_wsgi_application())
with make_server('127.0.0.1', 0, application, Server) as server:
    print('port', server.server_port, flush=True)
    server.serve_forever()
