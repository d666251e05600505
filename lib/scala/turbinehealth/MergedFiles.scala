package turbinehealth

import scala.collection.mutable.ArrayBuffer
import scala.jdk.CollectionConverters._

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.delta.{DeltaConfigs, DeltaLog, DeltaOperations}
import org.apache.spark.sql.delta.actions.SetTransaction

/**
 * One merge into a Delta table whose rows Python workers decode, compare and encode (`io/merged_files.py`).
 *
 * A `MERGE` of Spark's joins wide rows, twice, and what it takes is planning and compiling for all their columns. Here workers
 * get the files in which old rows may lie, and say which of their rows give way; files with such a row are written anew
 * without it. The commit is Delta's own, and fails where another writer touched what was read.
 *
 * @param near condition in SQL that all new rows fulfil, and old rows of their keys; on columns that spare files
 * @param application with `number` names the commit, which is not to be done when `isDone`; null: it is not named
 */
class MergedFiles(spark: SparkSession, folder: String, near: String, application: String, number: Long) {
  private val log = DeltaLog.forTable(spark, folder)
  private val transaction = log.startTransaction(None)
  private val candidates = transaction.filterFiles(Seq(FilePieces.condition(spark, transaction.snapshot, near))).zipWithIndex
  private val name = Option(application).map(SetTransaction(_, number, Some(System.currentTimeMillis())))
  private val stored = ArrayBuffer.empty[EncodedFiles.Stored]
  private var newRows = 0L

  /** Whether a commit of this name is there already. */
  def isDone: Boolean = name.exists(wanted => transaction.txnVersion(wanted.appId) >= wanted.version)

  /** Whether no old row can lie near. */
  def isAlone: Boolean = candidates.isEmpty

  /** What `FilePieces` gives of the files in which old rows may lie. */
  def before(columns: java.util.List[String]): DataFrame = FilePieces.of(spark, transaction.snapshot, candidates, columns)

  /** The same of those files alone that have these numbers. */
  def holding(files: java.util.List[Integer], columns: java.util.List[String]): DataFrame = {
    val wanted = files.asScala.map(_.intValue).toSet
    FilePieces.of(spark, transaction.snapshot, candidates.filter(each => wanted(each._2)), columns)
  }

  /** Store files of new rows; returns the old ones that give way to them. */
  def add(pieces: DataFrame): java.util.List[EncodedFiles.Replaced] = {
    val files = store(pieces)
    newRows += files.map(_.rows).sum
    files.flatMap(_.replaced).asJava
  }

  /** Store files of old rows that stay, in place of those that hold them now. */
  def keep(pieces: DataFrame): Unit = store(pieces)

  /** Commit what was stored, without the files of these numbers; no version where nothing was. Returns the rows inserted. */
  def commit(files: java.util.List[Integer], updated: Long): Long = {
    if (stored.nonEmpty) {
      val gone = files.asScala.map(_.intValue).toSet
      val removed = candidates.collect { case (file, number) if gone(number) => file.removeWithTimestamp() }
      EncodedFiles.tell(spark, transaction, Map(
        "operationNumSourceRows" -> newRows, "numTargetRowsInserted" -> (newRows - updated), "numTargetRowsUpdated" -> updated,
        "numOutputRows" -> stored.map(_.rows).sum, "numTargetFilesAdded" -> stored.length.toLong,
        "numTargetFilesRemoved" -> removed.length.toLong))
      transaction.commit(stored.map(_.added).toSeq ++ removed ++ name, DeltaOperations.Merge(None, Nil, Nil, Nil))
      EncodedFiles.forgetCached(spark, folder)
    }
    newRows - updated
  }

  private def store(pieces: DataFrame): Seq[EncodedFiles.Stored] = {
    val files = EncodedFiles.storeFiles(pieces, folder, log.newDeltaHadoopConf())
    stored ++= files
    files
  }
}

object MergedFiles {

  /** Whether files may be written and read so, and nobody follows the table's changes row by row. */
  def fits(spark: SparkSession, folder: String): Boolean = {
    val snapshot = DeltaLog.forTable(spark, folder).update()
    EncodedFiles.fits(spark, folder) && FilePieces.fits(spark, folder, snapshot.version) &&
    !DeltaConfigs.CHANGE_DATA_FEED.fromMetaData(snapshot.metadata)
  }
}
