/* calm.h - all of the C Asynchronous Library for ML; see <calm/TOPIC.h> */
#ifndef CALM_H
#define CALM_H

#include <calm/error.h>
#include <calm/time.h>
#include <calm/task.h>
#include <calm/run.h>
#include <calm/gather.h>
#include <calm/sync.h>
#include <calm/queue.h>
#include <calm/pool.h>
#include <calm/bytes.h>
#include <calm/process.h>
#include <calm/process_pool.h>
#include <calm/file.h>
#include <calm/socket.h>
#include <calm/http.h>
#include <calm/input.h>
#include <calm/json.h>
#include <calm/csv.h>
#include <calm/number.h>
#include <calm/retry.h>
#include <calm/model.h>
#include <calm/pipeline.h>
#include <calm/predict.h>
#include <calm/server.h>
#include <calm/serve.h>
#include <calm/compare.h>
#include <calm/inspect.h>

#endif
