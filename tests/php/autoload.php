<?php

/* Composer's part: promphp from SHMETRICS_PROMPHP (its folder src), or its stand-in; and the classes of the package. */
$promphp = getenv('SHMETRICS_PROMPHP');
if ($promphp === false) {
    require __DIR__ . '/stub/prometheus.php';
}
spl_autoload_register(function (string $class) use ($promphp) {
    foreach ([$promphp, getenv('SHMETRICS_PHP')] as $folder) {
        $file = $folder . '/' . str_replace('\\', '/', $class) . '.php';
        if ($folder !== false && is_file($file)) {
            require $file;
            return;
        }
    }
});
