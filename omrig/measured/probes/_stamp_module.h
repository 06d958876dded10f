/* What Python sees: Stamps, whose methods make the stamps of functions and of connections, open and
 * close the record of the load's own message, and hand on what was recorded. */

static PyObject *stamps_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = { "sample", "native", "places", NULL };
    unsigned long long sample;
    int native;
    const char *places[SIDES];
    Py_ssize_t sizes[SIDES];
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "Kp(y#y#y#)", names, &sample, &native, &places[0],
                                     &sizes[0], &places[1], &sizes[1], &places[2], &sizes[2]))
        return NULL;
    Stamps *stamps = (Stamps *)type->tp_alloc(type, 0);
    if (stamps == NULL)
        return NULL;
    stamps->sample = sample;
    stamps->native = (char)native;
    for (int side = 0; side < SIDES; side++)
        memcpy(stamps->places[side], places[side],
               (size_t)(sizes[side] < MOST_COLUMNS ? sizes[side] : MOST_COLUMNS));
    stamps->sending = PyContextVar_New("omrig_sending", Py_None);
    stamps->received = PyContextVar_New("omrig_received", Py_None);
    stamps->in_flight = PyDict_New();
    if (!stamps->sending || !stamps->received || !stamps->in_flight)
        Py_CLEAR(stamps);
    return (PyObject *)stamps;
}

static void stamps_dealloc(PyObject *self)
{
    Stamps *stamps = (Stamps *)self;
    Py_XDECREF(stamps->sending);
    Py_XDECREF(stamps->received);
    Py_XDECREF(stamps->in_flight);
    Py_XDECREF(stamps->failure);
    Py_XDECREF(stamps->learner);
    Rows *every[] = { &stamps->rows[0], &stamps->rows[1], &stamps->notes };
    for (int i = 0; i < 3; i++) {
        use_table(every[i], NULL);
        forget_rows(every[i]);
    }
    Py_TYPE(self)->tp_free(self);
}

static PyObject *stamps_stamp(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = { "kind", "takes", "column", "cpu", "path", "keys", "early", NULL };
    const char *kind;
    int takes = 0, column = 0, cpu = 0, early = 0;
    PyObject *path = NULL, *keys = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|iiiO!Oi", names, &kind, &takes, &column, &cpu,
                                     &PyTuple_Type, &path, &keys, &early))
        return NULL;
    size_t i = 0, count = sizeof KINDS / sizeof *KINDS;
    while (i < count && strcmp(KINDS[i].name, kind) != 0)
        i++;
    if (i == count)
        return PyErr_Format(PyExc_ValueError, "no stamp of the kind %s", kind);
    if (takes < KINDS[i].takes || column < 0 || column >= MOST_COLUMNS || cpu < 0 || cpu >= MOST_COLUMNS
        || early < 0 || early >= MOST_COLUMNS || (KINDS[i].has_keys && !(PyTuple_Check(keys) && PyTuple_GET_SIZE(keys) > 0)))
        return PyErr_Format(PyExc_ValueError, "a stamp of the kind %s is not made of that", kind);
    Stamp *stamp = PyObject_New(Stamp, &StampType);
    if (stamp == NULL)
        return NULL;
    stamp->call = stamp_call;
    stamp->does = KINDS[i].does;
    stamp->of = KINDS[i].of;
    stamp->stamps = (Stamps *)Py_NewRef(self);
    stamp->path = path ? Py_NewRef(path) : PyTuple_New(0);
    stamp->keys = Py_NewRef(keys);
    stamp->takes = takes;
    stamp->column = column;
    stamp->cpu = cpu;
    stamp->early = early;
    return (PyObject *)stamp;
}

static PyObject *stamps_receive(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *socket, *link, *slow;
    int stamped, green = 0;
    if (!PyArg_ParseTuple(args, "OO!Op|p", &socket, &LinkType, &link, &slow, &stamped, &green))
        return NULL;
    Receive *receive = PyObject_GC_New(Receive, &ReceiveType);
    if (receive == NULL)
        return NULL;
    receive->call = receive_call;
    receive->socket = Py_NewRef(socket);
    receive->link = (Link *)Py_NewRef(link);
    receive->slow = Py_NewRef(slow);
    receive->stamped = (char)stamped;
    receive->green = (char)green;
    PyObject_GC_Track(receive);
    return (PyObject *)receive;
}

static PyObject *stamps_write(PyObject *self, PyObject *args)
{
    PyObject *socket, *plain, *rest;
    if (!PyArg_ParseTuple(args, "OOO", &socket, &plain, &rest))
        return NULL;
    Write *write = PyObject_GC_New(Write, &WriteType);
    if (write == NULL)
        return NULL;
    write->call = write_call;
    write->stamps = (Stamps *)Py_NewRef(self);
    write->socket = Py_NewRef(socket);
    write->plain = Py_NewRef(plain);
    write->rest = Py_NewRef(rest);
    PyObject_GC_Track(write);
    return (PyObject *)write;
}

static PyObject *stamps_begin(PyObject *self, PyObject *number)
{
    Stamps *stamps = (Stamps *)self;
    uint64_t started = now();
    if (stamps->on) {
        Record *record = opened(stamps);
        if (record != NULL)
            record->row[SEQ] = PyLong_AsUnsignedLongLong(number);
        Py_XDECREF(record);
        if (PyErr_Occurred() && break_down(stamps) < 0)
            return NULL;
    }
    return PyLong_FromUnsignedLongLong(started);
}

static PyObject *stamps_end(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Stamps *stamps = (Stamps *)self;
    Record *record = record_in(stamps->sending);
    if (record == NULL || record->side != PRODUCER) {
        Py_XDECREF(record);
        return PyLong_FromUnsignedLongLong(now());
    }
    uint64_t ended;
    int failed = close_message(stamps, record, &ended) < 0;
    Py_DECREF(record);
    if (failed && break_down(stamps) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(ended);
}

static PyObject *stamps_entered(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Stamps *stamps = (Stamps *)self;
    PyObject *value = NULL;
    PyContextVar_Get(stamps->sending, Py_None, &value);
    Record *record = value && Py_IS_TYPE(value, &ServedType) ? ((Served *)value)->record : NULL;
    if (record != NULL) {
        record->row[CPU_ENDPOINT] = thread_cpu(stamps);
        stamp(stamps, record, ENDPOINT);
    }
    Py_XDECREF(value);
    return PyLong_FromUnsignedLongLong(now());
}

static PyObject *stamps_current(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Record *record = ((Stamps *)self)->broken ? NULL : record_in(((Stamps *)self)->sending);
    return record ? (PyObject *)record : Py_NewRef(Py_None);
}

static PyObject *stamps_where(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *value = NULL;
    PyContextVar_Get(((Stamps *)self)->sending, Py_None, &value);
    if (value && Py_IS_TYPE(value, &ServedType))
        Py_SETREF(value, Py_XNewRef(((Served *)value)->record));
    Record *record = record_or_null(value);
    if (record == NULL || record->place == 0)
        Py_XSETREF(record, record_in(((Stamps *)self)->received));
    PyObject *place = PyLong_FromLong(record ? record->place : 0);
    Py_XDECREF(record);
    return place;
}

static PyObject *stamps_thread_cpu(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    return PyLong_FromUnsignedLongLong(thread_cpu((Stamps *)self));
}

static PyObject *stamps_departed(PyObject *self, PyObject *args)
{
    Stamps *stamps = (Stamps *)self;
    Record *record;
    unsigned long long entered;
    if (!PyArg_ParseTuple(args, "O!K", &RecordType, &record, &entered))
        return NULL;
    go_on(stamps, record, stamps->places[record->side][DEPART]);
    record->row[DEPART] = entered;
    stamps->made++;
    Py_RETURN_NONE;
}

static PyObject *stamps_drain(PyObject *self, PyObject *args)
{
    const char *side;
    Stamps *stamps = (Stamps *)self;
    if (!PyArg_ParseTuple(args, "s", &side))
        return NULL;
    return drained(&stamps->rows[strcmp(side, "producer") == 0 ? PRODUCER : CONSUMER]);
}

static PyObject *stamps_learn(PyObject *self, PyObject *learner)
{
    Py_XSETREF(((Stamps *)self)->learner, learner == Py_None ? NULL : Py_NewRef(learner));
    Py_RETURN_NONE;
}

static PyObject *stamps_drain_notes(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    return drained(&((Stamps *)self)->notes);
}

static void empty(Stamps *stamps)
{
    forget_rows(&stamps->rows[PRODUCER]);
    forget_rows(&stamps->rows[CONSUMER]);
    PyDict_Clear(stamps->in_flight);
}

static PyObject *stamps_tables(PyObject *self, PyObject *args)
{
    Stamps *stamps = (Stamps *)self;
    PyObject *producer, *consumer;
    if (!PyArg_ParseTuple(args, "OO", &producer, &consumer))
        return NULL;
    stamps->generation++;
    if (producer != Py_None)
        empty(stamps);
    use_table(&stamps->rows[PRODUCER], producer == Py_None ? NULL : producer);
    use_table(&stamps->rows[CONSUMER], consumer == Py_None ? NULL : consumer);
    Py_RETURN_NONE;
}

static PyObject *stamps_notes_table(PyObject *self, PyObject *next)
{
    if (next != Py_None)
        forget_rows(&((Stamps *)self)->notes);
    use_table(&((Stamps *)self)->notes, next == Py_None ? NULL : next);
    Py_RETURN_NONE;
}

static PyObject *stamps_reset(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Stamps *stamps = (Stamps *)self;
    stamps->on = 0;
    stamps->generation++;
    stamps->noted_at = 0;
    Rows *every[] = { &stamps->rows[PRODUCER], &stamps->rows[CONSUMER], &stamps->notes };
    for (int i = 0; i < 3; i++) {
        use_table(every[i], NULL);
        /* Who was asking is no more. */
        every[i]->asking = 0;
    }
    forget_rows(&stamps->notes);
    empty(stamps);
    Py_RETURN_NONE;
}

static PyMethodDef stamps_methods[] = {
    { "stamp", (PyCFunction)(void (*)(void))stamps_stamp, METH_VARARGS | METH_KEYWORDS, NULL },
    { "receive", stamps_receive, METH_VARARGS, NULL },
    { "write", stamps_write, METH_VARARGS, NULL },
    { "begin", stamps_begin, METH_O, NULL },
    { "end", stamps_end, METH_NOARGS, NULL },
    { "entered", stamps_entered, METH_NOARGS, NULL },
    { "current", stamps_current, METH_NOARGS, NULL },
    { "where", stamps_where, METH_NOARGS, NULL },
    { "thread_cpu", stamps_thread_cpu, METH_NOARGS, NULL },
    { "departed", stamps_departed, METH_VARARGS, NULL },
    { "drain", stamps_drain, METH_VARARGS, NULL },
    { "learn", stamps_learn, METH_O, NULL },
    { "drain_notes", stamps_drain_notes, METH_NOARGS, NULL },
    { "tables", stamps_tables, METH_VARARGS, NULL },
    { "notes_table", stamps_notes_table, METH_O, NULL },
    { "reset", stamps_reset, METH_NOARGS, NULL },
    { NULL, NULL, 0, NULL },
};

static PyMemberDef stamps_members[] = {
    { "on", T_BOOL, offsetof(Stamps, on), 0, NULL },
    { "broken", T_BOOL, offsetof(Stamps, broken), READONLY, NULL },
    { "failure", T_OBJECT, offsetof(Stamps, failure), READONLY, NULL },
    { "native", T_BOOL, offsetof(Stamps, native), READONLY, NULL },
    { "made", T_ULONGLONG, offsetof(Stamps, made), READONLY, NULL },
    { "sample", T_ULONGLONG, offsetof(Stamps, sample), 0, NULL },
    { "in_flight", T_OBJECT, offsetof(Stamps, in_flight), READONLY, NULL },
    { NULL, 0, 0, 0, NULL },
};

static PyTypeObject StampsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Stamps",
    .tp_basicsize = sizeof(Stamps),
    .tp_dealloc = stamps_dealloc,
    .tp_methods = stamps_methods,
    .tp_members = stamps_members,
    .tp_new = stamps_new,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

/* The number that is in the module under a name, or how many things are there. */
static int read_number(PyObject *module, const char *name, int *number)
{
    PyObject *value = PyObject_GetAttrString(module, name);
    if (value != NULL)
        *number = (int)(PyTuple_Check(value) ? PyTuple_GET_SIZE(value) : PyLong_AsLong(value));
    Py_XDECREF(value);
    if (!PyErr_Occurred() && *number > MOST_COLUMNS)
        PyErr_SetString(PyExc_ImportError, "a row has more columns than a record has room for");
    return PyErr_Occurred() ? -1 : 0;
}

static int read_columns(void)
{
#define NAMED(name) { #name, &name },
    static const struct { const char *name; int *number; } numbers[] = {
        NUMBERS(NAMED) { "PRODUCER_COLUMNS", &widths[PRODUCER] }, { "CONSUMER_COLUMNS", &widths[CONSUMER] }
    };
    PyObject *stamps = PyImport_ImportModule("omrig.model.stamps");
    int failed = stamps == NULL;
    for (size_t i = 0; !failed && i < sizeof numbers / sizeof *numbers; i++)
        failed = read_number(stamps, numbers[i].name, numbers[i].number) < 0;
    Py_XDECREF(stamps);
    return failed ? -1 : 0;
}

static struct PyModuleDef definition = { PyModuleDef_HEAD_INIT, .m_name = "_stamp", .m_size = -1 };

PyMODINIT_FUNC PyInit__stamp(void)
{
    PyTypeObject *types[] = { &RecordType, &ServedType, &LinkType, &StampType, &ReceiveType, &WriteType,
                              &StampsType };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (PyType_Ready(types[i]) < 0)
            return NULL;
    record_name = PyUnicode_InternFromString("_omrig_record");
    fileno_name = PyUnicode_InternFromString("fileno");
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || record_name == NULL || fileno_name == NULL || read_columns() < 0
        || PyModule_AddObjectRef(module, "Link", (PyObject *)&LinkType) < 0
        || PyModule_AddObjectRef(module, "Record", (PyObject *)&RecordType) < 0
        || PyModule_AddObjectRef(module, "Stamps", (PyObject *)&StampsType) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
