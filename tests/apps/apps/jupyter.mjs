// JupyterLab with a Python kernel, as `jupyter lab` starts it.

import { join } from 'node:path';

import { python } from '../support/packages.mjs';
import { Server } from '../support/program.mjs';

export async function start(scope) {
  const directory = await scope.directory();
  // It does not tell which port it was given, so it gets a Unix socket.
  const socket = join(directory, 'socket');
  const settings = {
    'ServerApp.sock': socket,
    'ServerApp.root_dir': directory,
    'ServerApp.open_browser': 'False',
    // Besides localhost it only answers to hosts that it is told.
    'ServerApp.allow_remote_access': 'True',
    'IdentityProvider.token': 'secret',
    // Nothing is asked of the internet.
    'LabApp.news_url': 'None',
    'LabApp.check_for_updates_class': 'jupyterlab.NeverCheckForUpdate',
    'LabApp.extension_manager': 'readonly',
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const directories = Object.fromEntries(
    ['JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR'].map((name) => [name, join(directory, `.${name}`)]),
  );
  const options = { cwd: directory, env: { ...directories, JUPYTER_PREFER_ENV_PATH: '1' } };
  const server = new Server(scope, 'jupyter lab', python('jupyter-lab'), ['--allow-root', ...args], options);
  await server.line(/is running at/);
  return { target: `unix:${socket}`, directory };
}
