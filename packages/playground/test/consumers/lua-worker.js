import 'evermoon/worker-script';
