package turbinehealth

import java.util.UUID

import scala.collection.mutable.ArrayBuffer
import scala.jdk.CollectionConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FSDataOutputStream, Path}
import org.apache.spark.TaskContext
import org.apache.spark.sql.{classic, DataFrame, SaveMode, SparkSession}
import org.apache.spark.sql.delta.{DeltaLog, DeltaOperations, NoMapping, OptimisticTransaction}
import org.apache.spark.sql.delta.actions.{AddFile, SetTransaction}
import org.apache.spark.sql.execution.metric.SQLMetrics
import org.apache.spark.sql.types.{DataType, StructType}

/**
 * Parquet files that Python workers have encoded, as rows of Delta tables (`io/encoded_files.py`).
 *
 * Spark's writer takes rows: columns that come from Python would be turned into rows value by value, and those into columns
 * again. Here the bytes of a file come in pieces, which a task stores as they come; the commit is Delta's own.
 */
object EncodedFiles {

  /** Whether nothing about the table asks for Spark's writer: renamed or partitioned columns, constraints. */
  def fits(spark: SparkSession, folder: String): Boolean = {
    val metadata = DeltaLog.forTable(spark, folder).update().metadata
    metadata.columnMappingMode == NoMapping && metadata.partitionColumns.isEmpty &&
    !metadata.configuration.keys.exists(_.startsWith("delta.constraints."))
  }

  /**
   * Replace all rows and the schema in one commit; readers see before or after.
   *
   * @param pieces `piece`, the next bytes of its task's file; with the last one also `rows` and `statistics` of the whole file
   * @param folder of the Delta table, which exists
   * @param schema of the rows, as JSON
   */
  def replace(pieces: DataFrame, folder: String, schema: String): Unit = {
    val log = DeltaLog.forTable(pieces.sparkSession, folder)
    val transaction = log.startTransaction(None)
    val before = transaction.filterFiles()
    val wanted = structOf(schema)
    if (transaction.metadata.schema != wanted) transaction.updateMetadata(transaction.metadata.copy(schemaString = wanted.json))
    val added = store(pieces, folder, log, transaction)
    transaction.commit(added ++ before.map(_.removeWithTimestamp()), DeltaOperations.Write(SaveMode.Overwrite))
    forgetCached(pieces.sparkSession, folder)
  }

  /**
   * Add rows in one commit; the table has all their columns.
   *
   * @param application with `number` names the commit: done before, it is not done again; null: it is not named
   */
  def append(pieces: DataFrame, folder: String, schema: String, application: String, number: Long): Unit = {
    val log = DeltaLog.forTable(pieces.sparkSession, folder)
    val transaction = log.startTransaction(None)
    val unknown = structOf(schema).fieldNames.diff(transaction.metadata.schema.fieldNames)
    require(unknown.isEmpty, s"the table at $folder has no column ${unknown.mkString(", ")}")
    val name = Option(application).map(SetTransaction(_, number, Some(System.currentTimeMillis())))
    if (name.forall(wanted => transaction.txnVersion(wanted.appId) < wanted.version)) {
      val added = store(pieces, folder, log, transaction)
      transaction.commit(added ++ name, DeltaOperations.Write(SaveMode.Append))
      forgetCached(pieces.sparkSession, folder)
    }
  }

  /** Frames of the table that this session has cached are computed anew, as after a write of Spark's. */
  private[turbinehealth] def forgetCached(spark: SparkSession, folder: String): Unit = {
    val session = spark.asInstanceOf[classic.SparkSession]
    session.sharedState.cacheManager.recacheByPath(session, folder)
  }

  private def structOf(schema: String): StructType = DataType.fromJson(schema).asInstanceOf[StructType]

  /** Store the files, and tell the commit's metrics of them. */
  private def store(pieces: DataFrame, folder: String, log: DeltaLog, transaction: OptimisticTransaction): Seq[AddFile] = {
    val spark = pieces.sparkSession
    val files = storeFiles(pieces, folder, log.newDeltaHadoopConf())
    tell(
      spark, transaction,
      Map("numFiles" -> files.length.toLong, "numOutputRows" -> files.map(_.rows).sum, "numOutputBytes" -> files.map(_.size).sum))
    files.map(_.added)
  }

  /** What the table's history says of a commit. */
  private[turbinehealth] def tell(spark: SparkSession, transaction: OptimisticTransaction, totals: Map[String, Long]): Unit =
    transaction.registerSQLMetrics(spark, totals.map { case (name, total) =>
      val metric = SQLMetrics.createMetric(spark.sparkContext, name)
      metric.set(total)
      name -> metric
    })

  /** One file a task; in place of bytes, `file` and `replaced` of a piece name rows that give way, for `MergedFiles`. */
  private[turbinehealth] def storeFiles(pieces: DataFrame, folder: String, conf: Configuration): Seq[Stored] = {
    import pieces.sparkSession.implicits._
    val settings = pieces.sparkSession.sparkContext.broadcast(conf.iterator.asScala.map(each => each.getKey -> each.getValue).toMap)
    pieces.as[Piece].mapPartitions(of => storeFile(of, folder, settings.value)).collect().toSeq
  }

  /** One file from the pieces of one task. */
  private def storeFile(pieces: Iterator[Piece], folder: String, settings: Map[String, String]): Iterator[Stored] =
    if (pieces.isEmpty) Iterator.empty
    else {
      val name = f"part-${TaskContext.getPartitionId()}%05d-${UUID.randomUUID()}.parquet"
      val path = new Path(folder, name)
      val conf = new Configuration(false)
      settings.foreach { case (key, value) => conf.set(key, value) }
      val files = path.getFileSystem(conf)
      val stream = files.create(path, false)
      val replaced = ArrayBuffer.empty[Replaced]
      val last =
        try pieces.flatMap { piece =>
          if (piece.replaced == null) { stream.write(piece.piece); Some(piece) }
          else { replaced += Replaced(piece.file.get, piece.replaced); None }
        }.reduceLeft((_, next) => next)
        catch { case failure: Throwable => discard(stream); files.delete(path, false); throw failure }
      stream.close()
      val status = files.getFileStatus(path)
      require(last.statistics != null, s"the end of $path did not come")
      Iterator(Stored(name, status.getLen, status.getModificationTime, last.rows.get, last.statistics, replaced.toSeq))
    }

  /** An object store forgets what has not been closed. */
  private def discard(stream: FSDataOutputStream): Unit =
    if (stream.hasCapability("fs.capability.outputstream.abortable")) stream.abort() else stream.close()

  case class Piece(piece: Array[Byte], rows: Option[Long], statistics: String, file: Option[Int], replaced: Array[Byte])

  /** Numbers of rows of a file, as bytes of the worker's that nobody here looks into. */
  case class Replaced(file: Int, rows: Array[Byte])

  case class Stored(name: String, size: Long, written: Long, rows: Long, statistics: String, replaced: Seq[Replaced]) {
    def added: AddFile = AddFile(name, Map.empty, size, written, dataChange = true, statistics)
  }
}
