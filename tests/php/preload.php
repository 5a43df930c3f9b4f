<?php

/* Runs in the master of php-fpm, once, before there are workers. */
Shmetrics\counter('app_preloads_total', 'Preloads')->inc();
