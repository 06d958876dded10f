/* The stamps of the stage instrument in C: the twin of stamp_python.py, which says what each is for.
 *
 * A stamp is called from the code of a driver's function, into which graft.py has put the call. It
 * costs what it measures, so nothing here allocates, looks up or locks more than it has to. And it
 * must never break a message: a stamp that fails notes why, turns all stamps off and returns None.
 * What is no error (KeyboardInterrupt, a greenlet that is killed) goes through, as it would have.
 *
 * For who knows C and not CPython: a PyObject is counted, Py_NewRef counts up and Py_DECREF down;
 * "new" means that the caller owns one count, "borrowed" that it does not. NULL or -1 mean that an
 * exception is set. All of it runs with the interpreter's lock held, but between
 * Py_BEGIN_ALLOW_THREADS and Py_END_ALLOW_THREADS and where Python code is called (an attribute may
 * be a property): so there is no other lock.
 *
 * Three files and one unit, so that all of it is static: the records and the stamps here, the
 * connections in _stamp_socket.h, what Python sees in _stamp_module.h.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifdef Py_GIL_DISABLED
#error "without the interpreter's lock nothing here would be safe: the stamps are made in Python"
#endif
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
#define NUMBERS(X)                                                                                          \
    X(ID) X(SEQ) X(CALL) X(RETURN) X(ENDPOINT) X(CPU_BEGIN) X(CPU_ENDPOINT) X(CPU_READ) X(CPU_DEPART)       \
    X(DEPART) X(JSON_OUT) X(CONFIRM) X(CONFIRM_STAMP) X(LOST_DEPART) X(LOST_JSON_OUT) X(STAMP) X(READ)      \
    X(CONNECTION) X(OFFSET) X(CPU_JSON_IN) X(START) X(CPU_ENDPOINT_END) X(ID_DIGITS) X(SAMPLE_DIGITS) \
    X(KIND) X(REQUEST) X(OUTCOME) X(PARENT) X(POOL_BEGIN) X(ENDED_WELL)
#define DECLARED(name) static int name;
NUMBERS(DECLARED)
static int widths[2];

static PyObject *record_name, *fileno_name;

static inline uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static inline uint64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

/* Rows of numbers, one after the other: in memory until somebody drains them, or in the chunks of a
 * table, one at a time. `words` is the chunk in use, which `next` has given: NULL before the first. */

typedef struct {
    uint64_t *data;
    size_t used, room;
    PyObject *next;
    Py_buffer chunk;
    uint64_t *words;
    char asking; /* a thread asks for the next chunk; rows of others wait in memory, for it to write */
} Rows;

/* Words of a chunk's header, as omrig.model.tables has them. */
enum { WIDTH = 2, CAPACITY = 3, ROWS = 5, HEADER = 8 };

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

static void forget_rows(Rows *rows)
{
    PyMem_RawFree(rows->data);
    rows->data = NULL;
    rows->used = rows->room = 0;
}

static PyObject *drained(Rows *rows)
{
    PyObject *bytes = PyBytes_FromStringAndSize((char *)rows->data, rows->used * sizeof *rows->data);
    if (bytes != NULL)
        forget_rows(rows);
    return bytes;
}

/* From here on rows go where `next`, borrowed, says; NULL: into memory. */
static void use_table(Rows *rows, PyObject *next)
{
    Py_buffer chunk = rows->chunk;
    int had_one = rows->words != NULL;
    rows->words = NULL;
    Py_XSETREF(rows->next, Py_XNewRef(next));
    if (had_one)
        PyBuffer_Release(&chunk);
}

static size_t room_in(const Rows *rows)
{
    return rows->words == NULL ? 0 : (size_t)(rows->words[CAPACITY] - rows->words[ROWS]);
}

/* So many rows go into the chunk in use, which has room for them: they are there before they count. */
static void write_rows(Rows *rows, const uint64_t *data, size_t count, size_t width)
{
    uint64_t there = rows->words[ROWS];
    memcpy(rows->words + HEADER + there * width, data, count * width * sizeof *data);
    __atomic_store_n(&rows->words[ROWS], there + count, __ATOMIC_RELEASE);
}

/* Asks for the next chunk, and writes into it what came meanwhile. The other threads may run. */
static int next_chunk(Rows *rows, size_t width)
{
    Py_buffer chunk;
    PyObject *next = Py_NewRef(rows->next);
    rows->asking = 1;
    PyObject *given = PyObject_CallNoArgs(next);
    rows->asking = 0;
    int failed = given == NULL || PyObject_GetBuffer(given, &chunk, PyBUF_WRITABLE) < 0;
    Py_XDECREF(given);
    int is_wanted = rows->next == next;
    Py_DECREF(next);
    if (failed)
        return -1;
    uint64_t *words = chunk.buf;
    size_t size = (size_t)chunk.len / sizeof *words;
    if (size < HEADER || words[WIDTH] != width || words[ROWS] > words[CAPACITY]
        || words[CAPACITY] > (size - HEADER) / width || !words[CAPACITY]) {
        PyErr_SetString(PyExc_ValueError, "a chunk was given that has no room for such rows");
        failed = 1;
    }
    if (failed || !is_wanted) {
        PyBuffer_Release(&chunk);
        return failed ? -1 : 0;
    }
    use_table(rows, rows->next);
    rows->chunk = chunk;
    rows->words = words;
    size_t waiting = rows->used / width;
    size_t count = waiting < room_in(rows) ? waiting : room_in(rows);
    write_rows(rows, rows->data, count, width);
    rows->used -= count * width;
    memmove(rows->data, rows->data + count * width, rows->used * sizeof *rows->data);
    return 0;
}

static int add(Rows *rows, const uint64_t *row, size_t width)
{
    if (rows->next != NULL && !rows->asking && !room_in(rows) && next_chunk(rows, width) < 0)
        return -1;
    if (!room_in(rows))
        return append(rows, row, width);
    write_rows(rows, row, 1, width);
    return 0;
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
    uint64_t sample, noted_at, made, generation;
    Rows rows[2], notes;
} Stamps;

/* The record of a message while it lives. */

typedef struct {
    PyObject_HEAD
    PyObject *id;    /* str, or NULL while it is not known */
    PyObject *outer; /* what was being sent when this one became it */
    PyObject *others; /* list: the records of the messages that are served with it, or NULL */
    int side, place, place_before;
    uint64_t generation; /* of the stamps: the rows are for others if it is another by now */
    uint64_t begun, begun_cpu;
    uint64_t row[MOST_COLUMNS];
} Record;

/* In the place of the record that is being sent, while its endpoint runs: what the endpoint sends is
 * not its reply. Empty once the endpoint has returned, whoever still holds it. */

typedef struct { PyObject_HEAD Record *record; } Served;

static PyTypeObject RecordType, ServedType;

static Record *new_record(const Stamps *stamps, int side)
{
    Record *record = PyObject_New(Record, &RecordType);
    if (record == NULL)
        return NULL;
    memset((char *)record + offsetof(Record, id), 0, sizeof *record - offsetof(Record, id));
    record->side = side;
    record->generation = stamps->generation;
    return record;
}

static void record_dealloc(PyObject *self)
{
    Record *record = (Record *)self;
    Py_XDECREF(record->id);
    Py_XDECREF(record->outer);
    Py_XDECREF(record->others);
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
    PyObject *tls_socket;
    PyObject *anew; /* the socket whose stream is to be counted anew when a message was read, or None */
    char consumes;
} Link;

static int link_init(PyObject *self, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    Link *link = (Link *)self;
    PyObject *tls_socket = Py_None;
    if (!PyArg_ParseTuple(args, "K|O", &link->number, &tls_socket))
        return -1;
    Py_XSETREF(link->tls_socket, Py_NewRef(tls_socket));
    Py_XSETREF(link->anew, Py_NewRef(Py_None));
    return 0;
}

static int link_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Link *)self)->tls_socket);
    Py_VISIT(((Link *)self)->anew);
    return 0;
}

static int link_clear(PyObject *self)
{
    Py_CLEAR(((Link *)self)->tls_socket);
    Py_CLEAR(((Link *)self)->anew);
    return 0;
}

static void link_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    link_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyMemberDef link_members[] = {
    { "number", T_ULONGLONG, offsetof(Link, number), READONLY, NULL },
    { "offset", T_ULONGLONG, offsetof(Link, offset), 0, NULL },
    { "read", T_ULONGLONG, offsetof(Link, read), 0, NULL },
    { "stamp", T_ULONGLONG, offsetof(Link, stamp), 0, NULL },
    { "tls_socket", T_OBJECT, offsetof(Link, tls_socket), READONLY, NULL },
    { "anew", T_OBJECT, offsetof(Link, anew), 0, NULL },
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
    .tp_members = link_members,
    .tp_init = link_init,
    .tp_new = PyType_GenericNew,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
};

/* What the stamps have in common. */

/* New: `object`, which is taken over, if it is a record; else NULL. */
static Record *record_or_null(PyObject *object)
{
    if (object != NULL && !Py_IS_TYPE(object, &RecordType))
        Py_CLEAR(object);
    return (Record *)object;
}

/* New: the record that is in a variable, or NULL. To read a variable cannot fail. */
static Record *record_in(PyObject *variable)
{
    PyObject *value = NULL;
    PyContextVar_Get(variable, Py_None, &value);
    return record_or_null(value);
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

static int break_down(Stamps *stamps);

static inline void go_on(Stamps *stamps, Record *record, int place)
{
    record->place = place;
    if (stamps->learner != NULL) {
        PyObject *learner = Py_NewRef(stamps->learner);
        PyObject *none = PyObject_CallFunction(learner, "Oi", (PyObject *)record, place);
        /* Whoever is told has nothing to wait for: what is not ours to stop can only be shown. */
        if (none == NULL && break_down(stamps) < 0)
            PyErr_WriteUnraisable(learner);
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
            /* What is not ours to stop can only be shown: here nobody is to be told. */
            if (add(&stamps->notes, note, 2) < 0 && break_down(stamps) < 0)
                PyErr_WriteUnraisable((PyObject *)stamps);
        }
    }
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* int(id[:digits], 16): at once for what drivers make, with Python's own for whatever else. */
static int read_digits(PyObject *id, int digits, uint64_t *number)
{
    Py_ssize_t i = 0, length = PyUnicode_GET_LENGTH(id) < digits ? PyUnicode_GET_LENGTH(id) : digits;
    for (*number = 0; i < length; i++) {
        Py_UCS4 digit = PyUnicode_READ_CHAR(id, i);
        if (digit >= '0' && digit <= '9')
            *number = *number << 4 | (digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            *number = *number << 4 | (digit - 'a' + 10);
        else
            break;
    }
    if (length > 0 && i == length)
        return 0;
    PyObject *text = PyUnicode_Substring(id, 0, digits);
    PyObject *value = text ? PyObject_CallFunction((PyObject *)&PyLong_Type, "Oi", text, 16) : NULL;
    Py_XDECREF(text);
    *number = value ? PyLong_AsUnsignedLongLong(value) : 0;
    Py_XDECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

/* 1, 0, or -1 */
static int is_in_sample(Stamps *stamps, PyObject *id)
{
    uint64_t number;
    if (stamps->sample <= 1)
        return 1;
    return read_digits(id, SAMPLE_DIGITS, &number) < 0 ? -1 : number % stamps->sample == 0;
}

static int keep(Stamps *stamps, Record *record)
{
    if (record->generation != stamps->generation)
        return 0;
    if (record->id != NULL && read_digits(record->id, ID_DIGITS, &record->row[ID]) < 0)
        return -1;
    return add(&stamps->rows[record->side], record->row, (size_t)widths[record->side]);
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

/* Stamp: one call in one function. Each kind is a function of the record that it is about, or of none;
 * what it puts into `kept`, new, is what the call returns. */

enum { NOTHING, SENT, RECEIVED, IN_FLIGHT, ARGUMENT, AT_PATH };

typedef struct Stamp Stamp;
typedef int (*Does)(Stamp *self, Record *record, PyObject *const *args, PyObject **kept);

struct Stamp {
    PyObject_HEAD
    vectorcallfunc call;
    Does does;
    Stamps *stamps;
    PyObject *path, *keys;
    int of, column, cpu, early, takes;
};

#define UNUSED_ARGS PyObject *const *Py_UNUSED(args)
#define UNUSED_KEPT PyObject **Py_UNUSED(kept)

static int at(Stamp *self, Record *record, UNUSED_ARGS, UNUSED_KEPT)
{
    stamp(self->stamps, record, self->column);
    return 0;
}

static int first(Stamp *self, Record *record, UNUSED_ARGS, UNUSED_KEPT)
{
    if (!record->row[self->column])
        stamp(self->stamps, record, self->column);
    return 0;
}

static int begin(Stamp *self, Record *record, UNUSED_ARGS, UNUSED_KEPT)
{
    record->place_before = record->place;
    go_on(self->stamps, record, self->stamps->places[record->side][self->column]);
    record->begun = now();
    if (self->cpu)
        record->begun_cpu = thread_cpu(self->stamps);
    return 0;
}

static int finish(Stamp *self, Record *record, UNUSED_ARGS, UNUSED_KEPT)
{
    if (record->begun) {
        int column = self->early && !record->row[POOL_BEGIN] ? self->early : self->column;
        if (self->cpu)
            record->row[self->cpu] += thread_cpu(self->stamps) - record->begun_cpu;
        record->row[column] += now() - record->begun;
        record->begun = 0;
        go_on(self->stamps, record, record->place_before);
        self->stamps->made += 2;
    }
    return 0;
}

/* argument: the message; keys: where its id may be */
static int name(Stamp *self, Record *record, PyObject *const *args, PyObject **kept)
{
    Stamps *stamps = self->stamps;
    if (record->id == NULL) {
        PyObject *id = NULL;
        for (Py_ssize_t i = 0; PyDict_Check(args[0]) && i < PyTuple_GET_SIZE(self->keys); i++) {
            id = PyDict_GetItemWithError(args[0], PyTuple_GET_ITEM(self->keys, i));
            if (id != NULL && id != Py_None)
                break;
        }
        if (PyErr_Occurred())
            return -1;
        int taken = id != NULL && PyUnicode_Check(id) ? is_in_sample(stamps, id) : 0;
        if (taken <= 0)
            return taken < 0 ? -1 : set_variable(stamps->sending, Py_None);
        record->id = Py_NewRef(id);
        if (PyDict_SetItem(stamps->in_flight, id, (PyObject *)record) < 0)
            return -1;
    }
    return self->column ? begin(self, record, args, kept) : 0;
}

/* What happens until `take_up` is not the message's: kept is its record, to be given back. */
static int set_aside(Stamp *self, Record *record, PyObject *const *args, PyObject **kept)
{
    begin(self, record, args, kept);
    *kept = Py_NewRef(record);
    return set_variable(self->stamps->sending, Py_None);
}

static int take_up(Stamp *self, Record *record, PyObject *const *args, PyObject **kept)
{
    finish(self, record, args, kept);
    return set_variable(self->stamps->sending, (PyObject *)record);
}

/* As set_aside; the attempt to publish that has just failed is the lost one. */
static int set_aside_lost(Stamp *self, Record *record, PyObject *const *args, PyObject **kept)
{
    uint64_t *row = record->row;
    int failed = set_aside(self, record, args, kept);
    if (!row[LOST_DEPART] && !row[CONFIRM]) {
        row[LOST_DEPART] = row[DEPART];
        row[LOST_JSON_OUT] = row[JSON_OUT];
    }
    return failed;
}

static int confirmed(Stamp *self, Record *record, PyObject *const *args, UNUSED_KEPT)
{
    stamp(self->stamps, record, self->column);
    Link *link = link_at(args[0], self->path);
    if (link != NULL)
        record->row[CONFIRM_STAMP] = link->stamp;
    Py_XDECREF(link);
    return PyErr_Occurred() ? -1 : 0;
}

/* keys: what tells how far the stream was read where the link does not: with TLS, and once for a
 * connection that was read from before it was stamped */
static int receive(Stamp *self, Record *Py_UNUSED(none), PyObject *const *args, UNUSED_KEPT)
{
    Stamps *stamps = self->stamps;
    if (!stamps->on)
        return 0;
    uint64_t begun = now();
    Record *record = new_record(stamps, RECEIVED_ONLY);
    if (record == NULL)
        return -1;
    go_on(stamps, record, stamps->places[RECEIVED_ONLY][READ]);
    uint64_t cpu = thread_cpu(stamps);
    Link *link = link_at(args[0], self->path);
    if (link == NULL) {
        /* In memory: nothing was read, the message is simply there. */
        record->row[READ] = begun;
    } else {
        record->row[CPU_READ] = cpu;
        record->row[STAMP] = link->stamp;
        /* Nothing where the receive that read the end was not a stamped one yet. */
        record->row[READ] = link->read ? link->read : begun;
        record->row[CONNECTION] = link->number;
        record->row[OFFSET] = link->offset;
        if (link->tls_socket != Py_None || link->anew != Py_None) {
            PyObject *offset = PyObject_CallOneArg(self->keys, (PyObject *)link);
            record->row[OFFSET] = offset ? PyLong_AsUnsignedLongLong(offset) : 0;
            Py_XDECREF(offset);
        }
        Py_DECREF(link);
    }
    stamps->made++;
    int failed = PyErr_Occurred() || set_variable(stamps->received, (PyObject *)record) < 0;
    Py_DECREF(record);
    return failed ? -1 : 0;
}

static void take_received(Record *record, const Record *received)
{
    memcpy(record->row + STAMP, received->row + STAMP,
           (size_t)(CPU_JSON_IN + 1 - STAMP) * sizeof *record->row);
}

/* arguments: what carries the record, then the ids it may have */
static int open_received(Stamp *self, Record *received, PyObject *const *args, UNUSED_KEPT)
{
    PyObject *id = Py_None;
    for (int i = 1; id == Py_None && i < self->takes; i++)
        id = args[i];
    int taken = self->stamps->on && PyUnicode_Check(id) ? is_in_sample(self->stamps, id) : 0;
    if (taken <= 0)
        return taken;
    Record *record = new_record(self->stamps, CONSUMER);
    if (record == NULL)
        return -1;
    record->id = Py_NewRef(id);
    take_received(record, received);
    if (self->column) {
        /* The code is not in another place for it. */
        record->row[self->column] = now();
        self->stamps->made++;
    }
    int failed = PyObject_SetAttr(args[0], record_name, (PyObject *)record);
    Py_DECREF(record);
    return failed;
}

static int carried(Stamp *self, Record *record, UNUSED_ARGS, UNUSED_KEPT)
{
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    stamp(self->stamps, record, self->column);
    /* Nothing is done for what was last received any more. */
    Record *received = record_in(self->stamps->received);
    if (received != NULL)
        go_on(self->stamps, received, 0);
    Py_XDECREF(received);
    return 0;
}

/* New: the next record that a path leads to from a list's objects, from a place on; NULL where there
 * is none, or with an exception. What is no list has none. */
static Record *next_record(PyObject *list, Py_ssize_t *place, PyObject *path)
{
    Record *record = NULL;
    while (PyList_Check(list) && *place < PyList_GET_SIZE(list) && record == NULL && !PyErr_Occurred()) {
        PyObject *each = Py_NewRef(PyList_GET_ITEM(list, (*place)++));
        record = record_or_null(follow(each, path));
        Py_DECREF(each);
    }
    return record;
}

static int carried_all(Stamp *self, Record *Py_UNUSED(none), PyObject *const *args, PyObject **kept)
{
    Record *record;
    Py_ssize_t place = 0;
    while ((record = next_record(args[0], &place, self->path)) != NULL) {
        carried(self, record, args, kept);
        Py_DECREF(record);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* arguments: the id, the message; keys: what a message has that is the reply */
static int match(Stamp *self, Record *record, PyObject *const *args, UNUSED_KEPT)
{
    if (!PyDict_Check(args[1]))
        return 0;
    PyObject *value = Py_XNewRef(PyDict_GetItemWithError(args[1], PyTuple_GET_ITEM(self->keys, 0)));
    int is_it = value ? PyObject_IsTrue(value) : 0;
    Py_XDECREF(value);
    if (is_it <= 0)
        return PyErr_Occurred() ? -1 : 0;
    Record *received = record_in(self->stamps->received);
    if (received != NULL) {
        take_received(record, received);
        go_on(self->stamps, received, 0);
        Py_DECREF(received);
    }
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    /* The place is that of the thread which sends, not of the one that brings the reply. */
    record->row[self->column] = now();
    self->stamps->made++;
    return 0;
}

static int tell(Stamp *self, PyObject *const *args)
{
    PyObject *none = PyObject_Vectorcall(self->keys, args, (size_t)self->takes, NULL);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

static int process(Stamp *self, Record *record, UNUSED_ARGS, PyObject **kept)
{
    stamp(self->stamps, record, self->column);
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    *kept = Py_NewRef(record);
    return begin_sending(self->stamps, record);
}

/* Of a list of messages the first that has a record is the one that is served; the others' are in it. */
static int process_all(Stamp *self, Record *Py_UNUSED(none), PyObject *const *args, PyObject **kept)
{
    Py_ssize_t place = 0;
    Record *first = next_record(args[0], &place, self->path), *other;
    int failed = first != NULL && process(self, first, args, kept) < 0;
    while (first != NULL && !failed && (other = next_record(args[0], &place, self->path)) != NULL) {
        if (first->others == NULL)
            first->others = PyList_New(0);
        failed = first->others == NULL || PyList_Append(first->others, (PyObject *)other) < 0;
        Py_DECREF(other);
    }
    Py_XDECREF(first);
    return failed || PyErr_Occurred() ? -1 : 0;
}

/* keys, if it is not None: writes down what the messages were, told all arguments */
static int processed(Stamp *self, Record *record, PyObject *const *args, UNUSED_KEPT)
{
    stamp(self->stamps, record, self->column);
    if (self->keys != Py_None && tell(self, args) < 0) {
        end_sending(self->stamps, record);
        return -1;
    }
    PyObject *others = record->others;
    record->others = NULL;
    int failed = end_sending(self->stamps, record) < 0 || keep(self->stamps, record) < 0;
    for (Py_ssize_t i = 0; others != NULL && !failed && i < PyList_GET_SIZE(others); i++) {
        Record *other = (Record *)PyList_GET_ITEM(others, i);
        other->row[CPU_BEGIN] = record->row[CPU_BEGIN];
        other->row[OUTCOME] = record->row[OUTCOME];
        memcpy(other->row + START, record->row + START,
               (size_t)(CPU_ENDPOINT_END + 1 - START) * sizeof *other->row);
        failed = keep(self->stamps, other) < 0;
    }
    Py_XDECREF(others);
    return failed ? -1 : 0;
}

static int serve(Stamp *self, Record *record, UNUSED_ARGS, PyObject **kept)
{
    Served *served = PyObject_New(Served, &ServedType);
    if (served == NULL)
        return -1;
    served->record = (Record *)Py_NewRef(record);
    *kept = (PyObject *)served;
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    stamp(self->stamps, record, self->column);
    return set_variable(self->stamps->sending, *kept);
}

static int served(Stamp *self, Record *Py_UNUSED(none), PyObject *const *args, UNUSED_KEPT)
{
    if (!Py_IS_TYPE(args[0], &ServedType) || ((Served *)args[0])->record == NULL)
        return 0;
    Record *record = ((Served *)args[0])->record;
    ((Served *)args[0])->record = NULL;
    stamp(self->stamps, record, self->column);
    if (self->cpu)
        record->row[self->cpu] = thread_cpu(self->stamps);
    int failed = set_variable(self->stamps->sending, (PyObject *)record);
    Py_DECREF(record);
    return failed;
}

/* As served; what was not noted to have failed ended well. */
static int served_well(Stamp *self, Record *none, PyObject *const *args, PyObject **kept)
{
    Record *record = Py_IS_TYPE(args[0], &ServedType) ? ((Served *)args[0])->record : NULL;
    if (record != NULL && !record->row[OUTCOME])
        record->row[OUTCOME] = (uint64_t)ENDED_WELL;
    return served(self, none, args, kept);
}

/* argument: what was kept, a record or what stands for one that is served; keys: what is being raised,
 * as a number */
static int failed_with(Stamp *self, Record *Py_UNUSED(none), PyObject *const *args, UNUSED_KEPT)
{
    PyObject *kept = args[0];
    if (Py_IS_TYPE(kept, &ServedType))
        kept = (PyObject *)((Served *)kept)->record;
    Record *record = record_or_null(Py_XNewRef(kept));
    PyObject *number = record ? PyObject_CallNoArgs(self->keys) : NULL;
    if (number != NULL)
        record->row[OUTCOME] = PyLong_AsUnsignedLongLong(number);
    Py_XDECREF(number);
    Py_XDECREF(record);
    return PyErr_Occurred() ? -1 : 0;
}

/* The id of the message whose endpoint runs here; 0 where none does. */
static int parent_of(Stamps *stamps, uint64_t *number)
{
    PyObject *value = NULL;
    PyContextVar_Get(stamps->sending, Py_None, &value);
    Record *record = value && Py_IS_TYPE(value, &ServedType) ? ((Served *)value)->record : NULL;
    int failed = record && record->id ? read_digits(record->id, ID_DIGITS, number) : 0;
    Py_XDECREF(value);
    return failed;
}

/* The record of a message that is about to be sent; what is being sent is that one from here on. */
static Record *opened(Stamps *stamps)
{
    Record *record = new_record(stamps, PRODUCER);
    if (record == NULL)
        return NULL;
    stamp(stamps, record, CALL);
    record->row[CPU_BEGIN] = thread_cpu(stamps);
    if (PyErr_Occurred() || begin_sending(stamps, record) < 0)
        Py_CLEAR(record);
    return record;
}

/* keys: what the message is, by the arguments: numbers of its kind and its request, or None */
static int open_message(Stamp *self, Record *Py_UNUSED(none), PyObject *const *args, PyObject **kept)
{
    if (!self->stamps->on)
        return 0;
    unsigned long long kind, request;
    uint64_t parent = 0;
    PyObject *told = PyObject_Vectorcall(self->keys, args, (size_t)self->takes, NULL);
    int is_one = told != NULL && told != Py_None && PyArg_ParseTuple(told, "KK", &kind, &request);
    Py_XDECREF(told);
    is_one = is_one && parent_of(self->stamps, &parent) == 0;
    Record *record = is_one ? opened(self->stamps) : NULL;
    if (record != NULL) {
        record->row[KIND] = kind;
        record->row[REQUEST] = request;
        record->row[PARENT] = parent;
    }
    *kept = (PyObject *)record;
    return PyErr_Occurred() ? -1 : 0;
}

/* Whatever became of the message: its record is a row from now on. When that was is returned. */
static int close_message(Stamps *stamps, Record *record, uint64_t *ended)
{
    stamp(stamps, record, RETURN);
    *ended = now();
    if (end_sending(stamps, record) < 0)
        return -1;
    /* Without an id nothing was sent. */
    if (record->id == NULL)
        return 0;
    if (PyDict_DelItem(stamps->in_flight, record->id) < 0 && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Clear();
    return PyErr_Occurred() ? -1 : keep(stamps, record);
}

static int sent(Stamp *self, Record *record, UNUSED_ARGS, UNUSED_KEPT)
{
    uint64_t ended;
    if (!record->row[OUTCOME])
        record->row[OUTCOME] = (uint64_t)ENDED_WELL;
    return close_message(self->stamps, record, &ended);
}

/* What a kind is called, which record it is about, how many arguments it takes at least, whether it
 * has keys, and what it does. */
static const struct { const char *name; int of, takes, has_keys; Does does; } KINDS[] = {
    { "at", SENT, 0, 0, at },
    { "first", SENT, 0, 0, first },
    { "begin", SENT, 0, 0, begin },
    { "finish", SENT, 0, 0, finish },
    { "begin_received", RECEIVED, 0, 0, begin },
    { "finish_received", RECEIVED, 0, 0, finish },
    { "name", SENT, 1, 1, name },
    { "set_aside", SENT, 0, 0, set_aside },
    { "set_aside_lost", SENT, 0, 0, set_aside_lost },
    { "take_up", ARGUMENT, 1, 0, take_up },
    { "confirmed", SENT, 1, 0, confirmed },
    { "receive", NOTHING, 1, 0, receive },
    { "open", RECEIVED, 2, 0, open_received },
    { "carried", AT_PATH, 1, 0, carried },
    { "carried_all", NOTHING, 1, 0, carried_all },
    { "match", IN_FLIGHT, 2, 1, match },
    { "process", AT_PATH, 1, 0, process },
    { "process_all", NOTHING, 1, 0, process_all },
    { "processed", ARGUMENT, 1, 0, processed },
    { "serve", SENT, 0, 0, serve },
    { "served", NOTHING, 1, 0, served },
    { "served_well", NOTHING, 1, 0, served_well },
    { "message", NOTHING, 0, 0, open_message },
    { "failed", NOTHING, 1, 0, failed_with },
    { "sent", ARGUMENT, 1, 0, sent },
};

/* New: the record that a stamp is about; NULL where there is none, or with an exception. */
static Record *record_of(Stamp *self, PyObject *const *args)
{
    switch (self->of) {
    case SENT:
        return record_in(self->stamps->sending);
    case RECEIVED:
        return record_in(self->stamps->received);
    case IN_FLIGHT:
        return record_or_null(Py_XNewRef(PyDict_GetItemWithError(self->stamps->in_flight, args[0])));
    case ARGUMENT:
        return record_or_null(Py_NewRef(args[0]));
    case AT_PATH:
        return record_or_null(follow(args[0], self->path));
    default:
        return NULL;
    }
}

/* Turns all stamps off, for good, and keeps why; -1 for what is not ours to stop. */
static int break_down(Stamps *stamps)
{
    PyObject *type, *value, *traceback;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    stamps->broken = 1;
    stamps->on = 0;
    PyObject *why = PyObject_Repr(value);
    if (why == NULL) {
        PyErr_Clear();
        why = PyType_GetName(Py_TYPE(value));
        PyErr_Clear();
    }
    if (stamps->failure == NULL)
        stamps->failure = why;
    else
        Py_XDECREF(why);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return 0;
}

static PyObject *stamp_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Stamp *self = (Stamp *)callable;
    PyObject *kept = NULL;
    if (self->stamps->broken)
        Py_RETURN_NONE;
    int failed = PyVectorcall_NARGS(flags) != self->takes || names != NULL;
    if (failed) {
        PyErr_SetString(PyExc_TypeError, "a stamp was called with other arguments than it takes");
    } else {
        Record *record = record_of(self, args);
        if (record != NULL || self->of == NOTHING)
            failed = self->does(self, record, args, &kept) < 0;
        else
            failed = PyErr_Occurred() != NULL;
        Py_XDECREF(record);
    }
    if (!failed && kept != NULL)
        return kept;
    Py_XDECREF(kept);
    return failed && break_down(self->stamps) < 0 ? NULL : Py_NewRef(Py_None);
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
