/** What the worker of `Evermoon.worker()` runs. To have it in a worker file of your own: `import 'evermoon/worker-script'`. */
import { serve } from './serve.js';

void serve();
