/* The stamps of the stage instrument in C: the twin of stamp_python.py, which says what each is for.
 *
 * A stamp is called from the code of a driver's function, into which graft.py has put the call. It
 * costs what it measures, so nothing here allocates, looks up or locks more than it has to. And it
 * must never break a message: a stamp that fails notes why, turns all stamps off and returns None;
 * no exception of ours leaves this module but from its constructors.
 *
 * For who knows C and not CPython: a PyObject is counted, Py_INCREF and Py_DECREF count, "new" means
 * that the caller owns one count, "borrowed" that it does not. All of it runs with the interpreter's
 * lock held, but between Py_BEGIN_ALLOW_THREADS and Py_END_ALLOW_THREADS; so there is no other lock.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdint.h>
#include <structmember.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND 1000000000ull
#define PAYLOAD_OF_A_CONFIRM 13
#define SMALL_PAYLOAD 150
#define NOTE_NS 5000000ull
#define AT_ONCE_NS 100000ull
#define MOST_COLUMNS 48

enum { PRODUCER, CONSUMER, RECEIVED_ONLY, SIDES };

/* Where the columns are, and how many: read from omrig.model.stamps when the module is made. */
static int ID, SEQ, CALL, RETURN, ENDPOINT, CPU_BEGIN, CPU_ENDPOINT, CPU_READ, CPU_DEPART, DEPART, JSON_OUT,
    CONFIRM, CONFIRM_STAMP, LOST_DEPART, LOST_JSON_OUT, STAMP, READ, CONNECTION, OFFSET, CPU_JSON_IN,
    ID_DIGITS, SAMPLE_DIGITS, widths[2];

static PyObject *record_name, *fileno_name;

static inline uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static inline uint64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

/* Rows of numbers, one after the other, until somebody drains them. */

typedef struct { uint64_t *data; size_t used, room; } Rows;

static int append(Rows *rows, const uint64_t *row, size_t width)
{
    if (rows->used + width > rows->room) {
        size_t room = rows->room ? rows->room * 2 : 1 << 12;
        uint64_t *data = PyMem_RawRealloc(rows->data, room * sizeof *data);
        if (data == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        rows->data = data;
        rows->room = room;
    }
    memcpy(rows->data + rows->used, row, width * sizeof *row);
    rows->used += width;
    return 0;
}

static PyObject *drained(Rows *rows)
{
    PyObject *bytes = PyBytes_FromStringAndSize((char *)rows->data, rows->used * sizeof *rows->data);
    if (bytes != NULL) {
        PyMem_RawFree(rows->data);
        *rows = (Rows){ 0 };
    }
    return bytes;
}

/* Stamps: what all stamps of a process share. */

typedef struct {
    PyObject_HEAD
    PyObject *sending, *received; /* ContextVars */
    PyObject *in_flight;          /* dict: id -> record of a call under way */
    PyObject *failure;            /* why the stamps were turned off, or NULL */
    PyObject *learner;            /* told when a record's code goes on to another place, or NULL */
    char on, native, broken;
    unsigned char places[SIDES][MOST_COLUMNS]; /* which stage the code is in after that column's stamp */
    uint64_t sample, noted_at, made;
    Rows rows[2], notes;
} Stamps;

/* The record of a message while it lives. */

typedef struct {
    PyObject_HEAD
    PyObject *id;    /* str, or NULL while it is not known */
    PyObject *outer; /* what was being sent when this one became it */
    int side, place, place_before;
    uint64_t begun, begun_cpu;
    uint64_t row[MOST_COLUMNS];
} Record;

/* In the place of the record that is being sent, while its endpoint runs: what the endpoint sends is
 * not its reply. Empty once the endpoint has returned, whoever still holds it. */

typedef struct { PyObject_HEAD Record *record; } Served;

static PyTypeObject RecordType, ServedType;

static Record *new_record(int side)
{
    Record *record = PyObject_New(Record, &RecordType);
    if (record == NULL)
        return NULL;
    memset((char *)record + offsetof(Record, id), 0, sizeof *record - offsetof(Record, id));
    record->side = side;
    return record;
}

static void record_dealloc(PyObject *self)
{
    Record *record = (Record *)self;
    Py_XDECREF(record->id);
    Py_XDECREF(record->outer);
    PyObject_Free(self);
}

static PyObject *record_get(PyObject *self, Py_ssize_t column)
{
    Record *record = (Record *)self;
    if (column < 0 || column >= MOST_COLUMNS) {
        PyErr_SetString(PyExc_IndexError, "no such column");
        return NULL;
    }
    if (column == ID && record->id != NULL)
        return Py_NewRef(record->id);
    return PyLong_FromUnsignedLongLong(record->row[column]);
}

static int record_set(PyObject *self, Py_ssize_t column, PyObject *value)
{
    if (column < 0 || column >= MOST_COLUMNS || value == NULL) {
        PyErr_SetString(PyExc_IndexError, "no such column");
        return -1;
    }
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (number == (unsigned long long)-1 && PyErr_Occurred())
        return -1;
    ((Record *)self)->row[column] = number;
    return 0;
}

static PySequenceMethods record_items = { .sq_item = record_get, .sq_ass_item = record_set };

static PyTypeObject RecordType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Record",
    .tp_basicsize = sizeof(Record),
    .tp_dealloc = record_dealloc,
    .tp_as_sequence = &record_items,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

static void served_dealloc(PyObject *self)
{
    Py_XDECREF(((Served *)self)->record);
    PyObject_Free(self);
}

static PyTypeObject ServedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Served",
    .tp_basicsize = sizeof(Served),
    .tp_dealloc = served_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* A connection: its number, and what was last received on it. */

typedef struct {
    PyObject_HEAD
    unsigned long long number, offset, read, stamp;
    PyObject *tls_socket, *weak;
    char consumes;
} Link;

static int link_init(PyObject *self, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    Link *link = (Link *)self;
    PyObject *tls_socket = Py_None;
    if (!PyArg_ParseTuple(args, "K|O", &link->number, &tls_socket))
        return -1;
    Py_XSETREF(link->tls_socket, Py_NewRef(tls_socket));
    return 0;
}

static int link_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Link *)self)->tls_socket);
    return 0;
}

static int link_clear(PyObject *self)
{
    Py_CLEAR(((Link *)self)->tls_socket);
    return 0;
}

static void link_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    if (((Link *)self)->weak != NULL)
        PyObject_ClearWeakRefs(self);
    link_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyMemberDef link_members[] = {
    { "number", T_ULONGLONG, offsetof(Link, number), READONLY, NULL },
    { "offset", T_ULONGLONG, offsetof(Link, offset), 0, NULL },
    { "read", T_ULONGLONG, offsetof(Link, read), 0, NULL },
    { "stamp", T_ULONGLONG, offsetof(Link, stamp), 0, NULL },
    { "tls_socket", T_OBJECT, offsetof(Link, tls_socket), READONLY, NULL },
    { "consumes", T_BOOL, offsetof(Link, consumes), 0, NULL },
    { NULL, 0, 0, 0, NULL },
};

static PyTypeObject LinkType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Link",
    .tp_basicsize = sizeof(Link),
    .tp_dealloc = link_dealloc,
    .tp_traverse = link_traverse,
    .tp_clear = link_clear,
    .tp_weaklistoffset = offsetof(Link, weak),
    .tp_members = link_members,
    .tp_init = link_init,
    .tp_new = PyType_GenericNew,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
};

/* What the stamps have in common. */

/* New: the record of the message that is being sent. NULL without an exception where there is none. */
static Record *being_sent(Stamps *stamps)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(stamps->sending, Py_None, &value) < 0)
        return NULL;
    if (Py_IS_TYPE(value, &RecordType))
        return (Record *)value;
    Py_DECREF(value);
    return NULL;
}

/* New: what was noted of the message that was last received. NULL likewise. */
static Record *just_received(Stamps *stamps)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(stamps->received, Py_None, &value) < 0)
        return NULL;
    if (Py_IS_TYPE(value, &RecordType))
        return (Record *)value;
    Py_DECREF(value);
    return NULL;
}

static int set_variable(PyObject *variable, PyObject *value)
{
    PyObject *token = PyContextVar_Set(variable, value);
    if (token == NULL)
        return -1;
    Py_DECREF(token);
    return 0;
}

/* The record becomes the one that is being sent; what was that before is kept in it. */
static int begin_sending(Stamps *stamps, Record *record)
{
    PyObject *outer = NULL;
    if (PyContextVar_Get(stamps->sending, Py_None, &outer) < 0)
        return -1;
    Py_XSETREF(record->outer, outer);
    return set_variable(stamps->sending, (PyObject *)record);
}

static int end_sending(Stamps *stamps, Record *record)
{
    PyObject *outer = record->outer ? record->outer : Py_NewRef(Py_None);
    record->outer = NULL;
    int failed = set_variable(stamps->sending, outer);
    Py_DECREF(outer);
    return failed;
}

static void break_down(Stamps *stamps);

static inline void go_on(Stamps *stamps, Record *record, int place)
{
    record->place = place;
    if (stamps->learner != NULL) {
        PyObject *learner = Py_NewRef(stamps->learner);
        PyObject *none = PyObject_CallFunction(learner, "Oi", (PyObject *)record, place);
        if (none == NULL)
            break_down(stamps);
        Py_XDECREF(none);
        Py_DECREF(learner);
    }
}

static inline void stamp(Stamps *stamps, Record *record, int column)
{
    go_on(stamps, record, stamps->places[record->side][column]);
    record->row[column] = now();
    stamps->made++;
}

/* CPU time of the thread; now and then that of the process is noted, too, as nobody else could
 * without waking it. 0 with green threads, where it would say nothing. */
static uint64_t thread_cpu(Stamps *stamps)
{
    if (!stamps->native)
        return 0;
    uint64_t began = now();
    if (began - stamps->noted_at > NOTE_NS) {
        uint64_t note[2];
        note[1] = read_clock(CLOCK_PROCESS_CPUTIME_ID);
        note[0] = now();
        if (note[0] - began < AT_ONCE_NS) {
            stamps->noted_at = note[0];
            if (append(&stamps->notes, note, 2) < 0)
                PyErr_Clear();
        }
    }
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t hexadecimal(PyObject *id, int digits)
{
    char text[17] = "";
    const char *all = PyUnicode_AsUTF8(id);
    if (all == NULL)
        return 0;
    strncat(text, all, digits < 16 ? (size_t)digits : 16);
    return strtoull(text, NULL, 16);
}

static int is_in_sample(Stamps *stamps, PyObject *id)
{
    return stamps->sample <= 1 || hexadecimal(id, SAMPLE_DIGITS) % stamps->sample == 0;
}

static int keep(Stamps *stamps, Record *record)
{
    record->row[ID] = hexadecimal(record->id, ID_DIGITS);
    return append(&stamps->rows[record->side], record->row, (size_t)widths[record->side]);
}

/* Follows a path of attributes (str) and places (int). New; NULL without an exception where it ends. */
static PyObject *follow(PyObject *object, PyObject *path)
{
    Py_INCREF(object);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(path); i++) {
        PyObject *step = PyTuple_GET_ITEM(path, i);
        PyObject *next = PyUnicode_Check(step) ? PyObject_GetAttr(object, step)
                                               : PyObject_GetItem(object, step);
        Py_DECREF(object);
        if (next == NULL) {
            if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_LookupError)
                || PyErr_ExceptionMatches(PyExc_TypeError))
                PyErr_Clear();
            return NULL;
        }
        object = next;
    }
    return object;
}

static Link *link_at(PyObject *object, PyObject *path)
{
    PyObject *link = follow(object, path);
    if (link != NULL && !Py_IS_TYPE(link, &LinkType))
        Py_CLEAR(link);
    return (Link *)link;
}

static Record *record_at(PyObject *object, PyObject *path)
{
    PyObject *record = follow(object, path);
    if (record != NULL && !Py_IS_TYPE(record, &RecordType))
        Py_CLEAR(record);
    return (Record *)record;
}

/* Stamp: one call in one function. Each kind is a function that returns a new reference, or NULL with
 * an exception. */

typedef struct Stamp Stamp;
typedef PyObject *(*Does)(Stamp *self, PyObject *const *args);

struct Stamp {
    PyObject_HEAD
    vectorcallfunc call;
    Does does;
    Stamps *stamps;
    PyObject *path, *keys;
    int column, cpu, takes;
};

#define FAILED_OR_NONE return PyErr_Occurred() ? NULL : Py_NewRef(Py_None)

static PyObject *at(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    stamp(self->stamps, record, self->column);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

static PyObject *first(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    if (!record->row[self->column])
        stamp(self->stamps, record, self->column);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

static void begin_span(Stamp *self, Record *record)
{
    record->place_before = record->place;
    go_on(self->stamps, record, self->stamps->places[record->side][self->column]);
    record->begun = now();
    if (self->cpu)
        record->begun_cpu = thread_cpu(self->stamps);
}

static void end_span(Stamp *self, Record *record)
{
    if (record->begun) {
        if (self->cpu)
            record->row[self->cpu] += thread_cpu(self->stamps) - record->begun_cpu;
        record->row[self->column] += now() - record->begun;
        record->begun = 0;
        go_on(self->stamps, record, record->place_before);
        self->stamps->made += 2;
    }
}

static PyObject *begin(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    begin_span(self, record);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

static PyObject *finish(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    end_span(self, record);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

static PyObject *begin_received(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = just_received(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    begin_span(self, record);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

static PyObject *finish_received(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = just_received(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    end_span(self, record);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

static PyObject *name(Stamp *self, PyObject *const *args)
{
    Stamps *stamps = self->stamps;
    Record *record = being_sent(stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    if (record->id == NULL) {
        PyObject *id = NULL;
        for (Py_ssize_t i = 0; PyDict_Check(args[0]) && id == NULL && i < PyTuple_GET_SIZE(self->keys); i++) {
            id = PyDict_GetItemWithError(args[0], PyTuple_GET_ITEM(self->keys, i));
            if (id == Py_None)
                id = NULL;
        }
        if (id == NULL || !PyUnicode_Check(id) || !is_in_sample(stamps, id)) {
            int failed = PyErr_Occurred() || set_variable(stamps->sending, Py_None) < 0;
            Py_DECREF(record);
            return failed ? NULL : Py_NewRef(Py_None);
        }
        record->id = Py_NewRef(id);
        if (PyDict_SetItem(stamps->in_flight, id, (PyObject *)record) < 0) {
            Py_DECREF(record);
            return NULL;
        }
    }
    begin_span(self, record);
    Py_DECREF(record);
    Py_RETURN_NONE;
}

/* What happens until `take_up` is not the message's: returned is its record, to be given back. */
static PyObject *set_aside(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    begin_span(self, record);
    if (set_variable(self->stamps->sending, Py_None) < 0) {
        Py_DECREF(record);
        return NULL;
    }
    return (PyObject *)record;
}

static PyObject *take_up(Stamp *self, PyObject *const *args)
{
    if (!Py_IS_TYPE(args[0], &RecordType))
        Py_RETURN_NONE;
    end_span(self, (Record *)args[0]);
    return set_variable(self->stamps->sending, args[0]) < 0 ? NULL : Py_NewRef(Py_None);
}

/* As set_aside; the attempt to publish that has just failed is the lost one. */
static PyObject *set_aside_lost(Stamp *self, PyObject *const *args)
{
    PyObject *value = set_aside(self, args);
    if (value != NULL && value != Py_None) {
        uint64_t *row = ((Record *)value)->row;
        if (!row[LOST_DEPART] && !row[CONFIRM]) {
            row[LOST_DEPART] = row[DEPART];
            row[LOST_JSON_OUT] = row[JSON_OUT];
        }
    }
    return value;
}

static PyObject *confirmed(Stamp *self, PyObject *const *args)
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    stamp(self->stamps, record, self->column);
    Link *link = link_at(args[0], self->path);
    if (link != NULL)
        record->row[CONFIRM_STAMP] = link->stamp;
    Py_XDECREF(link);
    Py_DECREF(record);
    FAILED_OR_NONE;
}

static PyObject *receive(Stamp *self, PyObject *const *args)
{
    Stamps *stamps = self->stamps;
    if (!stamps->on)
        Py_RETURN_NONE;
    uint64_t begun = now();
    Record *record = new_record(RECEIVED_ONLY);
    if (record == NULL)
        return NULL;
    go_on(stamps, record, stamps->places[RECEIVED_ONLY][READ]);
    record->row[CPU_READ] = thread_cpu(stamps);
    Link *link = link_at(args[0], self->path);
    if (link == NULL) {
        /* In memory: nothing was read, the message is simply there. */
        record->row[READ] = begun;
        record->row[CPU_READ] = 0;
    } else {
        record->row[STAMP] = link->stamp;
        record->row[READ] = link->read;
        record->row[CONNECTION] = link->number;
        record->row[OFFSET] = link->offset;
        if (link->tls_socket != Py_None) {
            PyObject *offset = PyObject_CallOneArg(self->keys, (PyObject *)link);
            record->row[OFFSET] = offset ? PyLong_AsUnsignedLongLong(offset) : 0;
            Py_XDECREF(offset);
        }
        Py_DECREF(link);
    }
    stamps->made++;
    int failed = PyErr_Occurred() || set_variable(stamps->received, (PyObject *)record) < 0;
    Py_DECREF(record);
    return failed ? NULL : Py_NewRef(Py_None);
}

static void take_received(Record *record, const Record *received)
{
    memcpy(record->row + STAMP, received->row + STAMP,
           (size_t)(CPU_JSON_IN + 1 - STAMP) * sizeof *record->row);
}

/* arguments: what carries the record, then the ids it may have */
static PyObject *open_received(Stamp *self, PyObject *const *args)
{
    Stamps *stamps = self->stamps;
    PyObject *id = args[1] != Py_None ? args[1] : args[self->takes - 1];
    if (!stamps->on || !PyUnicode_Check(id) || !is_in_sample(stamps, id))
        FAILED_OR_NONE;
    Record *received = just_received(stamps);
    if (received == NULL)
        FAILED_OR_NONE;
    Record *record = new_record(CONSUMER);
    int failed = 1;
    if (record != NULL) {
        record->id = Py_NewRef(id);
        take_received(record, received);
        failed = PyObject_SetAttr(args[0], record_name, (PyObject *)record) < 0;
        Py_DECREF(record);
    }
    Py_DECREF(received);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* Nothing is done for the message that was last received any more. */
static int let_go(Stamps *stamps)
{
    Record *received = just_received(stamps);
    if (received != NULL)
        go_on(stamps, received, 0);
    Py_XDECREF(received);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *carried(Stamp *self, PyObject *const *args)
{
    Record *record = record_at(args[0], self->path);
    if (record == NULL)
        FAILED_OR_NONE;
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    stamp(self->stamps, record, self->column);
    Py_DECREF(record);
    return let_go(self->stamps) < 0 ? NULL : Py_NewRef(Py_None);
}

/* arguments: the id, the message; keys: what a message has that is the reply */
static PyObject *match(Stamp *self, PyObject *const *args)
{
    Stamps *stamps = self->stamps;
    Record *record = (Record *)PyDict_GetItemWithError(stamps->in_flight, args[0]);
    if (record == NULL)
        FAILED_OR_NONE;
    PyObject *is_it = !PyDict_Check(args[1])
                          ? NULL
                          : PyDict_GetItemWithError(args[1], PyTuple_GET_ITEM(self->keys, 0));
    if (is_it == NULL || !PyObject_IsTrue(is_it))
        FAILED_OR_NONE;
    Record *received = just_received(stamps);
    if (received != NULL) {
        take_received(record, received);
        go_on(stamps, received, 0);
        Py_DECREF(received);
    }
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(stamps);
    /* The place is that of the thread which sends, not of the one that brings the reply. */
    record->row[self->column] = now();
    stamps->made++;
    FAILED_OR_NONE;
}

static PyObject *process(Stamp *self, PyObject *const *args)
{
    Record *record = record_at(args[0], self->path);
    if (record == NULL)
        FAILED_OR_NONE;
    stamp(self->stamps, record, self->column);
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    if (begin_sending(self->stamps, record) < 0) {
        Py_DECREF(record);
        return NULL;
    }
    return (PyObject *)record;
}

static PyObject *processed(Stamp *self, PyObject *const *args)
{
    if (!Py_IS_TYPE(args[0], &RecordType))
        Py_RETURN_NONE;
    Record *record = (Record *)args[0];
    stamp(self->stamps, record, self->column);
    if (end_sending(self->stamps, record) < 0 || keep(self->stamps, record) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *serve(Stamp *self, PyObject *const *Py_UNUSED(args))
{
    Record *record = being_sent(self->stamps);
    if (record == NULL)
        FAILED_OR_NONE;
    Served *served = PyObject_New(Served, &ServedType);
    if (served == NULL) {
        Py_DECREF(record);
        return NULL;
    }
    served->record = record;
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    stamp(self->stamps, record, self->column);
    if (set_variable(self->stamps->sending, (PyObject *)served) < 0)
        Py_CLEAR(served);
    return (PyObject *)served;
}

static PyObject *served(Stamp *self, PyObject *const *args)
{
    if (!Py_IS_TYPE(args[0], &ServedType) || ((Served *)args[0])->record == NULL)
        Py_RETURN_NONE;
    Record *record = ((Served *)args[0])->record;
    ((Served *)args[0])->record = NULL;
    stamp(self->stamps, record, self->column);
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    int failed = set_variable(self->stamps->sending, (PyObject *)record);
    Py_DECREF(record);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

static const struct { const char *kind; Does does; } KINDS[] = {
    { "at", at }, { "first", first }, { "begin", begin }, { "finish", finish },
    { "begin_received", begin_received }, { "finish_received", finish_received },
    { "name", name }, { "set_aside", set_aside }, { "set_aside_lost", set_aside_lost }, { "take_up", take_up },
    { "confirmed", confirmed }, { "receive", receive }, { "open", open_received },
    { "carried", carried }, { "match", match }, { "process", process }, { "processed", processed },
    { "serve", serve }, { "served", served },
};

/* Turns all stamps off, for good, and keeps why. */
static void break_down(Stamps *stamps)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    stamps->broken = 1;
    stamps->on = 0;
    if (stamps->failure == NULL) {
        stamps->failure = value ? PyObject_Repr(value) : NULL;
        PyErr_Clear();
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static PyObject *stamp_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Stamp *self = (Stamp *)callable;
    if (self->stamps->broken || PyVectorcall_NARGS(flags) != self->takes || names != NULL)
        Py_RETURN_NONE;
    PyObject *value = self->does(self, args);
    if (value == NULL) {
        break_down(self->stamps);
        Py_RETURN_NONE;
    }
    return value;
}

static void stamp_dealloc(PyObject *self)
{
    Py_XDECREF(((Stamp *)self)->stamps);
    Py_XDECREF(((Stamp *)self)->path);
    Py_XDECREF(((Stamp *)self)->keys);
    PyObject_Free(self);
}

static PyTypeObject StampType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "omrig.measured.probes._stamp.Stamp",
    .tp_basicsize = sizeof(Stamp),
    .tp_dealloc = stamp_dealloc,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Stamp, call),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

#include "_stamp_socket.h"
#include "_stamp_module.h"
